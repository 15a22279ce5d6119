"""What stands between the convolutions of a block and has no weights, or a vector of them.

``N`` images, ``H`` heads, ``D`` channels of a key, ``V`` of a value, ``P`` pixels, ``M`` pixels
that are attended to.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import Part
from supernet.elastic.activation import make_activation
from supernet.elastic.form import Elastic
from supernet.elastic.rounding import rounded_input
from supernet.elastic.spans import Spans, picked

__all__ = ["SCALE", "Concat", "ElasticAttention", "ElasticScale", "Shift", "attend", "shared_part"]

SCALE = 0.1
"""With which a learned factor starts: that of CaiT for networks of few blocks (arXiv:2103.17239,
section 2.1). Published networks take 1e-5; behind a block without a shortcut nothing would be
left then that the next batch norm could tell from its eps."""


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Of all pixels to those of a key and a value that all heads share, in two products.

    Args:
        query: shape ``(N, H * D, rows, columns)``, the channels of a head next to each other.
        key: shape ``(N, D, rows, columns)``, maybe of fewer pixels.
        value: shape ``(N, V, rows, columns)``, of as many as the key.
        heads: H.

    Returns:
        Shape ``(N, H * V, rows, columns)``, rows and columns of the query.
    """
    images, channels, rows, columns = query.shape
    size = channels // heads
    asks = query.reshape(images, heads, size, rows * columns).transpose(2, 3)  # (N, H, P, D)
    asks = asks.reshape(images, heads * rows * columns, size)  # (N, H * P, D)
    keys = key.flatten(2) * size**-0.5  # (N, D, M): fewer than there are queries
    shares = torch.softmax(torch.bmm(asks, keys), 2)  # (N, H * P, M)
    found = torch.bmm(shares, value.flatten(2).transpose(1, 2))  # (N, H * P, V)
    found = found.reshape(images, heads, rows * columns, value.shape[1]).transpose(2, 3)
    return found.reshape(images, heads * value.shape[1], rows, columns)


class Concat(nn.Module):
    """The channels of several inputs one behind the other; in plain networks, too."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` of each to the sum of their channels."""
        return torch.cat(inputs, 1)


class Shift(nn.Module):
    """What `supernet.blocks.shift` says; in plain networks, too."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to one row and column less where their number is even."""
        height, width = x.shape[2:]
        return F.pad(x, (-1, int(width) % 2, -1, int(height) % 2))


def shared_part(part: Part) -> nn.Module | None:
    """The module of a part that supernets and plain networks share, if it is such a one."""
    match part.what:
        case "concat":
            return Concat()
        case "shift":
            return Shift()
        case "act":
            return make_activation(part.act, inplace=False)
    return None


class ElasticAttention(Elastic):
    """`attend` with as many heads as are active."""

    def activate(self, heads: int) -> None:
        """Have this many heads."""
        self.form[:] = [heads]

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As `attend`."""
        if self.rounds:
            query, key, value = map(rounded_input, (query, key, value))
        return attend(query, key, value, self.form[0])


class ElasticScale(Elastic):
    """A learned factor for each channel, of which some are used."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, None)
        self.weight = nn.Parameter(torch.full((channels,), SCALE))

    def activate(self, channels: int, spans: Spans = None) -> None:
        """Use the first `channels`, or those of `spans`."""
        self.form[:] = [channels, spans]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return x * self.active_state()["weight"].view(-1, 1, 1)

    def active_state(self) -> dict[str, Tensor]:
        """The active factors, named as in `supernet.models.Scale`."""
        return {"weight": picked(self.weight, *self.form)}

    def permute_output(self, order: Tensor) -> None:
        """Scale the channels in another order."""
        self.weight.copy_(self.weight[order])
