"""What elastic blocks are made of."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import gate_activations
from supernet.elastic.conv import ElasticConv
from supernet.elastic.form import Elastic
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.pooling import global_mean
from supernet.elastic.spans import Spans
from supernet.space import Operator

__all__ = [
    "ElasticAdd",
    "ElasticConvNorm",
    "ElasticResidual",
    "ElasticShortcut",
    "ElasticSqueezeExcite",
    "prefixed",
    "squeeze_excite",
    "widest_of",
]


def widest_of(operators: Sequence[Operator], field: str) -> int:
    """The largest that any of them has."""
    return max(int(getattr(operator, field)) for operator in operators)


def prefixed(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One state of several, each under the name of its part."""
    return {f"{name}.{key}": v for name, part in parts.items() for key, v in part.items()}


class ElasticConvNorm(nn.Module):
    """Convolution, batch norm if there is one, activation."""

    def __init__(self, conv: ElasticConv, norm: ElasticBatchNorm | None, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def activate(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        reads: Spans = None,
        writes: Spans = None,
    ) -> None:
        """As `ElasticConv.activate`."""
        self.conv.activate(in_channels, out_channels, kernel, reads=reads, writes=writes)
        if self.norm is not None:
            self.norm.activate(out_channels, writes)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y = self.conv(x)
        out: Tensor = self.act(y if self.norm is None else self.norm(y))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.ConvNorm`."""
        norm = {} if self.norm is None else self.norm.active_state()
        return prefixed(conv=self.conv.active_state(), norm=norm)

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`."""
        return self.conv.reads(power)

    def varies(self) -> Tensor:
        """As `ElasticBatchNorm.varies`, behind the activation.

        Without batch norm, where all channels that are read vary alike.
        """
        if self.norm is None:
            return self.conv.weight.square().sum((1, 2, 3))
        return self.norm.varies(self.act)

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.conv.permute_input(order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.conv.permute_output(order)
        if self.norm is not None:
            self.norm.permute_output(order)


class ElasticAdd(Elastic):
    """The sum of what two operations make of states of a cell.

    Its form says which of both may be dropped: those that are no identity.
    """

    drop_path = 0.0
    """Probability in train mode that one of both is left out, image by image (arXiv:1707.07012)."""

    def __init__(self) -> None:
        super().__init__(False, False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Twice ``(N, C, H, W)`` to the same."""
        if self.drop_path and self.training:
            drops, also = self.form
            first = dropped(first, self.drop_path) if drops else first
            second = dropped(second, self.drop_path) if also else second
        return first + second


def dropped(y: Tensor, probability: float) -> Tensor:
    """`y` without some images, the others larger by as much."""
    kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= probability
    return y * (kept / (1 - probability)).to(y.dtype)


class ElasticSqueezeExcite(nn.Module):
    """Channel gates from pooled features (arXiv:1709.01507), as `Operator.gate` says."""

    def __init__(self, channels: int, hidden: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.act, self.gate = act, gate
        self.reduce = ElasticConv(channels, hidden, bias=True)
        self.expand = ElasticConv(hidden, channels, bias=True)

    def activate(self, channels: int, hidden: int) -> None:
        """Use the first `channels` and the first `hidden` ones between."""
        self.reduce.activate(channels, hidden)
        self.expand.activate(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        pooled = global_mean(x, keep=True, training=self.training)
        gates: Tensor = self.gate(self.expand(self.act(self.reduce(pooled))))
        return x * gates

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.SqueezeExcite`."""
        return prefixed(reduce=self.reduce.active_state(), expand=self.expand.active_state())

    def permute(self, order: Tensor) -> None:
        """Gate the channels in another order."""
        self.reduce.permute_input(order)
        self.expand.permute_output(order)

    def sort(self) -> None:
        """Order the hidden channels by the weights that read them."""
        order = self.expand.reads().argsort(descending=True)
        self.reduce.permute_output(order)
        self.expand.permute_input(order)


def squeeze_excite(operators: Sequence[Operator], channels: int) -> ElasticSqueezeExcite | None:
    """One that holds the weights of all `operators`, if any of them has one."""
    gated = [operator for operator in operators if operator.se]
    if not gated:
        return None
    acts = gate_activations(gated[0])
    return ElasticSqueezeExcite(channels, widest_of(gated, "se"), *acts)


class ElasticShortcut(Elastic):
    """A shortcut that changes the input: average pooling, 1x1 convolution, batch norm.

    See `Operator.shortcut` for the kinds.
    """

    def __init__(self, operators: Sequence[Operator], *, momentum: float, eps: float) -> None:
        """Hold the weights of the shortcuts of all `operators`."""
        super().__init__()
        before = max(operator.in_channels for operator in operators)
        after = max(operator.out_channels for operator in operators)
        self.conv = self.norm = None
        if any(operator.shortcut_convolves for operator in operators):
            self.conv = ElasticConv(before, after)
        if any(operator.shortcut_normalises for operator in operators):
            self.norm = ElasticBatchNorm(after, momentum=momentum, eps=eps)

    def activate(self, operator: Operator) -> None:
        """Become the shortcut of `operator`."""
        convolves, normalises = operator.shortcut_convolves, operator.shortcut_normalises
        padding = operator.shortcut_pool // 2 if operator.shortcut == "pool" else 0
        sizes = operator.shortcut_pool, operator.stride, padding
        self.form[:] = [*sizes, convolves, normalises]
        if self.conv is not None:
            self.conv.activate(operator.in_channels, operator.out_channels)
        if self.norm is not None:
            self.norm.activate(operator.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        window, stride, padding, convolves, normalises = self.form
        if window:
            x = F.avg_pool2d(x, window, stride, padding, not padding, count_include_pad=False)
        elif stride > 1:  # what a 1x1 convolution of this stride reads
            x = x[:, :, ::stride, ::stride]
        if convolves:
            x = self.conv(x)  # type: ignore[misc]  # there whenever a shortcut convolves
        return self.norm(x) if normalises else x  # type: ignore[misc]  # likewise

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Shortcut`."""
        *_, convolves, normalises = self.form
        conv = self.conv.active_state() if self.conv is not None and convolves else {}
        norm = self.norm.active_state() if self.norm is not None and normalises else {}
        return prefixed(conv=conv, norm=norm)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        if self.conv is not None:
            self.conv.permute_output(order)
        if self.norm is not None:
            self.norm.permute_output(order)


class ElasticResidual(Elastic):
    """A block that may gate its channels, and add its input, changed or not.

    Its form says whether to gate, to add the input as it is, to add it changed.
    """

    se: ElasticSqueezeExcite | None
    shortcut: ElasticShortcut | None

    drop_path = 0.0
    """Probability in train mode that only the shortcut is left, image by image."""

    def make_shortcut(self, operators: Sequence[Operator], *, momentum: float, eps: float) -> None:
        """Hold what the shortcuts of all `operators` need."""
        self.shortcut = None
        if any(operator.shortcut not in ("none", "identity") for operator in operators):
            self.shortcut = ElasticShortcut(operators, momentum=momentum, eps=eps)

    def activate_ends(self, operator: Operator) -> None:
        """Take the gate and the shortcut of `operator`."""
        identity = operator.shortcut == "identity"
        changes = not identity and operator.shortcut != "none"
        self.form[:] = [operator.se > 0, identity, changes]
        if operator.se:
            assert self.se is not None
            self.se.activate(operator.gated_channels, operator.se)
        if changes:
            assert self.shortcut is not None
            self.shortcut.activate(operator)

    def gate(self, y: Tensor) -> Tensor:
        """`y`, gated where the operator says so."""
        return self.se(y) if self.form[0] else y  # type: ignore[misc]  # see `activate_ends`

    def add_shortcut(self, x: Tensor, y: Tensor) -> Tensor:
        """`y`, plus what the shortcut makes of `x`."""
        _, identity, changes = self.form[:3]
        if self.drop_path and self.training and (identity or changes):
            y = dropped(y, self.drop_path)
        if identity:
            return x + y
        return self.shortcut(x) + y if changes else y  # type: ignore[misc]  # likewise

    def with_shortcut(self, reads: Tensor, power: int) -> Tensor:
        """What the first layers read of each channel, and a shortcut's convolution with them."""
        if self.shortcut is None or self.shortcut.conv is None:
            return reads
        return reads + self.shortcut.conv.reads(power)

    def permute_shortcut_input(self, order: Tensor) -> None:
        """Let the shortcut read the channels in another order."""
        if self.shortcut is not None and self.shortcut.conv is not None:
            self.shortcut.conv.permute_input(order)

    def permute_shortcut_output(self, order: Tensor) -> None:
        """Let the shortcut write the channels in another order."""
        if self.shortcut is not None:
            self.shortcut.permute_output(order)

    def ends_state(self) -> dict[str, Tensor]:
        """State of the active gate and shortcut."""
        gated, _, changes = self.form[:3]
        return prefixed(
            se=self.se.active_state() if self.se and gated else {},
            shortcut=self.shortcut.active_state() if self.shortcut and changes else {},
        )
