"""A device and how it was measured, in words."""

from collections.abc import Mapping

__all__ = ["device_words", "runtime_words"]


def device_words(device: Mapping[str, str]) -> str:
    """The GPU, or the processor where none was measured."""
    return device.get("gpu") or device.get("processor") or "not known"


def runtime_words(device: Mapping[str, str], *, threads: int, precision: str, batch: int) -> str:
    """Runtime with its version, threads, precision and batch."""
    if "runtime" not in device:
        return "as published"
    words = f"{device['runtime']} {device.get('runtime_version', '')}".strip()
    count = f"{threads} thread{'s' * (threads > 1)}"
    return f"{words}, {count}, {precision}" + (f", batch {batch}" if batch > 1 else "")
