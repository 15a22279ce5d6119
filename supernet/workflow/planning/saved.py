"""What a backward pass keeps of its forward pass, which is most of what a training takes."""

import torch
from torch import Tensor

from supernet.models import Supernet
from supernet.train.precision import autocast
from supernet.train.recipe import Precision

__all__ = ["saved_bytes"]

_IMAGES = 2


def saved_bytes(supernet: Supernet, precision: Precision) -> int:
    """Bytes an image that the largest subnet keeps for its backward pass.

    At the largest input size; by noting what torch saves in a forward pass of two images.

    Args:
        supernet: the largest subnet is active in it afterwards.
        precision: to compute in, decided.
    """
    device, subnet = next(supernet.parameters()).device, supernet.largest
    weights = {parameter.data_ptr() for parameter in supernet.parameters()}
    found: dict[int, int] = {}

    def note(values: Tensor) -> Tensor:
        if values.data_ptr() not in weights:
            found[values.data_ptr()] = values.untyped_storage().nbytes()
        return values

    size = subnet.resolution
    images = torch.zeros(_IMAGES, supernet.space.in_channels, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    supernet.activate(subnet)
    supernet.train()
    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda values: values)
    with hooks, autocast(precision, device):
        kept = supernet(images)  # as long as this lives, so does what it needs
    del kept
    return sum(found.values()) // _IMAGES
