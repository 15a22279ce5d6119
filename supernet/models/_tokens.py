"""Steps of a graph as the layers that blocks consist of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from supernet.models._regions import Item, Region, unfit
from supernet.models.tracing import Step
from supernet.space.operator import Activation, Shortcut

__all__ = ["Added", "Conv", "Dense", "Excite", "Pooled", "Token", "tokens_of"]

_ACTS: dict[str, Activation] = {"relu": "relu", "hardswish": "hard_swish", "silu": "swish"}
_NORMS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
_MEANS = ("mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d")
_SAME = ("clone", "detach", "alias", "view", "_unsafe_view", "squeeze", "flatten", "reshape")
_MATRICES = ("addmm", "mm", "linear")


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution, batch norm, activation."""

    step: Step
    sizes: tuple[int, ...]
    """Channels read and written, kernel, stride, width of a group (0 for one)."""
    pads: tuple[int, int, int, int]
    """Zeros above, left of, below and right of what it reads."""
    height: int
    width: int
    act: Activation
    eps: float
    weights: tuple[str, ...]
    """Of the convolution, and of the batch norm."""


@dataclass(frozen=True, slots=True)
class Excite:
    """Squeeze-excite."""

    step: Step
    hidden: int
    act: Activation
    gate: str
    """``sigmoid`` or ``hard_sigmoid``."""
    weights: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """Layers, and a shortcut around them."""

    step: Step
    body: tuple["Token", ...]
    shortcut: Shortcut
    beside: tuple[Conv, ...]
    """The convolution of the shortcut."""
    act: Activation
    """What follows the sum."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooling: the global average, or the maximum of 3x3 pixels with stride 2."""

    step: Step
    everything: bool
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer, or a 1x1 convolution of single pixels, with its activation."""

    step: Step
    reads: int
    writes: int
    bias: bool
    act: Activation
    weights: tuple[str, ...]


Token: TypeAlias = Conv | Excite | Added | Pooled | Dense


def tokens_of(items: Sequence[Item], before: Step) -> list[Token]:
    """The layers of a line.

    Args:
        items: the line.
        before: the step whose output it reads.

    Raises:
        ConfigError: with the first step that is none of them.
    """
    reader, found = _Reader(list(items), before), []
    while reader.left:
        token = reader.token()
        if token is not None:
            found.append(token)
    return found


class _Reader:
    """Takes items from the front."""

    def __init__(self, items: list[Item], before: Step) -> None:
        self.left, self._before = items, before

    def token(self) -> Token | None:  # noqa: PLR0911  # a line for each kind of layer
        """The next layer; None where a step changes no value."""
        before, item = self._before, self._take()
        if isinstance(item, Region):
            return self._joined(item, before)
        if item.op == "constant_pad_nd" and self._next("convolution"):
            return self._conv(self._step(), before, item)
        if item.op == "convolution":
            return self._conv(item, before)
        if item.op in _MATRICES:
            return self._dense(item, before)
        if item.op in _MEANS and _is_pixel(item.shape) and item.shape[:2] == before.shape[:2]:
            return Pooled(item, True, before.shape[2], before.shape[3])
        if item.op == "max_pool2d_with_indices":
            given = item.arguments
            sizes = [{*given[name]} for name in ("kernel_size", "stride")]
            sizes.append({*given.get("padding", [0])})
            if sizes != [{3}, {2}, {1}] or given.get("ceil_mode"):
                raise unfit(item, "is a pooling other than 3x3, stride 2, padding 1")
            return Pooled(item, False, before.shape[2], before.shape[3])
        if item.op in _SAME and _kept(before.shape, item.shape):
            return None
        raise unfit(item)

    def _take(self) -> Item:
        item = self.left.pop(0)
        self._before = item.join if isinstance(item, Region) else item
        return item

    def _step(self) -> Step:
        item = self._take()
        assert isinstance(item, Step)
        return item

    def _next(self, *ops: str) -> bool:
        return bool(self.left) and isinstance(self.left[0], Step) and self.left[0].op in ops

    def _act(self) -> Activation:
        """The activation that comes next, if one does."""
        if self._next("hardtanh", "clamp") and _bounds(self.left[0]) == (0, 6):
            self._take()
            return "relu6"
        if self._next(*_ACTS):
            return _ACTS[self._step().op]
        return "none"

    def _conv(self, step: Step, before: Step, pad: Step | None = None) -> Token:
        given = step.arguments
        single = _is_pixel(step.shape) and _is_pixel(before.shape)
        if single and not self._next(*_NORMS):
            return self._dense(step, before)
        kernel, stride = _square(step, pad)
        if not self._next(*_NORMS):
            raise unfit(step, "is a convolution without batch norm behind it")
        norm = self._step()
        if len(norm.weights) != 4:
            raise unfit(norm, "is a batch norm without weights or statistics")
        reads, writes, groups = before.shape[1], step.shape[1], given["groups"]
        if groups > 1 and reads != writes:
            raise unfit(step, f"is a grouped convolution of {reads} to {writes} channels")
        left, right, top, bottom = pad.arguments["pad"] if pad else (0, 0, 0, 0)
        rows, columns = given["padding"]
        return Conv(
            step,
            (reads, writes, kernel, stride, reads // groups if groups > 1 else 0),
            (top + rows, left + columns, bottom + rows, right + columns),
            before.shape[2],
            before.shape[3],
            self._act(),
            norm.arguments.get("eps", norm.arguments.get("epsilon", 1e-5)),
            (step.weights[0], norm.weights[0]),
        )

    def _dense(self, step: Step, before: Step) -> Dense:
        if step.arguments.get("groups", 1) > 1 or not step.weights:
            raise unfit(step)
        matrix = step.weights[-1 if step.op == "addmm" else 0]  # which reads its bias first
        sizes = before.shape[1], step.shape[1]
        return Dense(step, *sizes, len(step.weights) > 1, self._act(), (matrix,))

    def _joined(self, region: Region, before: Step) -> Token:
        if region.join.op == "mul":
            arm = next((a for a, b in (region.arms, region.arms[::-1]) if not b), None)
            if arm is None:
                raise unfit(region.join)
            return _excite(arm, before, region.join)
        if region.join.op != "add" or region.join.arguments.get("alpha", 1) != 1:
            raise unfit(region.join)
        act = self._act()
        for body, beside in (region.arms, region.arms[::-1]):
            found = _shortcut(beside, before)
            if found is not None and body:
                inner = tokens_of(body, before)
                return Added(region.join, tuple(inner), *found, act)
        first = region.arms[0][0]
        raise unfit(
            first if isinstance(first, Step) else first.join,
            "and what is added to its block's output are two paths of several layers",
        )


def _shortcut(arm: Sequence[Item], before: Step) -> tuple[Shortcut, tuple[Conv, ...]] | None:
    """Which shortcut an arm is, and its convolution."""
    if not arm:
        return "identity", ()
    steps = [item for item in arm if isinstance(item, Step)]
    if len(steps) < len(arm) or steps[-1].op not in _NORMS or len(steps) > 3:
        return None
    pool = steps.pop(0) if steps[0].op == "avg_pool2d" else None
    if [step.op for step in steps[:1]] != ["convolution"] or len(steps) != 2:
        return None
    (conv,) = tokens_of(steps, pool or before)
    if not isinstance(conv, Conv) or conv.sizes[2] != 1 or conv.sizes[4]:
        return None
    if pool is None:
        return "conv_norm", (conv,)
    given = pool.arguments
    plain = given["kernel_size"] == given.get("stride", given["kernel_size"])
    if not plain or any(given.get("padding", ())) or conv.sizes[3] != 1:
        raise unfit(pool, "is an average pooling whose window is not its stride")
    return "project_norm", (conv,)


def _excite(arm: Sequence[Item], before: Step, join: Step) -> Excite:
    """Squeeze-excite from the arm that makes its gates."""
    steps = [s for s in arm if isinstance(s, Step) and s.op not in _SAME]
    ops = [step.op for step in steps]
    if len(steps) != 5 or ops[0] not in _MEANS or (ops[1], ops[3]) != ("convolution",) * 2:
        raise unfit(join)
    reader = _Reader(list(steps[1:]), steps[0])
    first, second = reader.token(), reader.token()
    gate = {"hardsigmoid": "hard_sigmoid", "sigmoid": "sigmoid"}.get(ops[4])
    whole = isinstance(first, Dense) and isinstance(second, Dense) and second.act == "none"
    if not whole or gate is None or not _is_pixel(steps[0].shape):
        raise unfit(join)
    assert isinstance(first, Dense)
    assert isinstance(second, Dense)
    if not (first.bias and second.bias) or second.writes != before.shape[1]:
        raise unfit(join, "is a squeeze-excite without biases")
    return Excite(join, first.writes, first.act, gate, (*first.weights, *second.weights))


def _square(step: Step, pad: Step | None) -> tuple[int, int]:
    """Kernel and stride.

    Raises:
        ConfigError: they are not those of a convolution of ours.
    """
    if len(step.kernel) != 2:
        raise unfit(step, "is a convolution whose weight is computed, as by weight_norm")
    given = step.arguments
    other = [f"{name} {given[name]}" for name in ("dilation",) if set(given[name]) != {1}]
    other += ["transposed"] * bool(given["transposed"])
    if pad is not None and (len(pad.arguments["pad"]) != 4 or pad.arguments.get("value")):
        other.append(f"padding {pad.arguments['pad']} of {pad.arguments.get('value', 0)}")
    if other or len(set(given["stride"])) != 1:
        raise unfit(step, f"is a convolution with {', '.join(other) or given['stride']}")
    rows, columns = step.kernel
    if rows != columns or rows % 2 == 0:
        raise unfit(step, f"is a convolution of {rows}x{columns}")
    return rows, given["stride"][0]


def _bounds(step: Item) -> tuple[float | None, float | None]:
    assert isinstance(step, Step)
    given = step.arguments
    if step.op == "hardtanh":
        return given.get("min_val", -1), given.get("max_val", 1)
    return given.get("min"), given.get("max")


def _is_pixel(shape: Sequence[int]) -> bool:
    return len(shape) == 2 or tuple(shape[2:]) == (1, 1)


def _kept(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether a change of shape does no more than to drop single rows and columns."""
    return tuple(before[:2]) == tuple(after[:2]) and (
        tuple(before) == tuple(after) or (_is_pixel(before) and _is_pixel(after))
    )
