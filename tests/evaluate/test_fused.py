"""A convolution fused with its activation computes what the two compute one after the other."""

import pytest
import torch
from torch import nn

from supernet.elastic.activation import make_activation
from supernet.evaluate.fused import FusedConv
from supernet.space.operator import Activation

ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "relu6", "hard_swish", "swish")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_every_activation_is_applied(act: Activation, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    images = 5 * torch.randn(2, 8, 9, 9, dtype=dtype)  # beyond all thresholds
    for conv in (
        nn.Conv2d(8, 24, 1, bias=False),
        nn.Conv2d(8, 8, 5, 2, 2, groups=8),
        nn.Conv2d(8, 6, 3, 2, 1, dilation=2, groups=2),
    ):
        conv.to(dtype)
        with torch.no_grad():
            expected = make_activation(act)(conv(images))
            found = FusedConv(conv, make_activation(act))(images)
        torch.testing.assert_close(found, expected)


def test_what_onednn_does_not_know_is_called() -> None:
    conv, images = nn.Conv2d(3, 4, 1), torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        expected = torch.tanh(conv(images))
        torch.testing.assert_close(FusedConv(conv, nn.Tanh())(images), expected)
