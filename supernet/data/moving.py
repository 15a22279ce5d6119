"""Copies to a device for which the host does not wait."""

import torch
from torch import Tensor

__all__ = ["moved"]


def moved(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`.

    A copy to a GPU from ordinary memory waits until all that was asked of the GPU before is
    done; one from pinned memory takes its turn.
    """
    if device.type == "cuda" and not values.is_pinned():
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
