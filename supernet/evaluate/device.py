"""Where to measure, when nobody says."""

__all__ = ["resolved_device"]


def resolved_device(name: str) -> str:
    """`name`, with ``auto`` replaced by what torch finds."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
