"""A network that reads pixels and gives probabilities, instead of normalised floats and logits."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Deployed", "pixels_of"]


class Deployed(nn.Module):
    """A network with its preprocessing inside.

    Args:
        network: ``(N, C, H, W)`` normalised images to logits.
        mean: of every channel, of pixel values from 0 to 1.
        std: likewise.
        pixels: read uint8 from 0 to 255; else normalised floats.
        probabilities: give softmax; else logits.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        pixels: bool,
        probabilities: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self.scale: Tensor
        self.shift: Tensor
        self.pixels, self.probabilities = pixels, probabilities
        scale = 1 / (255 * np.array(std))
        shift = -np.array(mean) / np.array(std)
        for name, values in (("scale", scale), ("shift", shift)):
            tensor = torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
            self.register_buffer(name, tensor)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, classes)``."""
        x = images.float() * self.scale + self.shift if self.pixels else images
        out: Tensor = self.network(x)
        return out.softmax(dim=1) if self.probabilities else out


def pixels_of(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalised images as the pixels that they come from, rounded, uint8."""
    columns = [torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std)]
    return ((images.cpu() * columns[1] + columns[0]) * 255).round().clamp(0, 255).to(torch.uint8)
