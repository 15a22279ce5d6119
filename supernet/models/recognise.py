"""The operators that a plain network of any library consists of, read from what it computes.

A kind of block is tried by what it says of itself (`supernet.blocks`): an operator is proposed
with the sizes that are there, and taken if its convolutions are exactly those that were seen.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from supernet.blocks import KINDS, Kind, parts_of
from supernet.errors import ConfigError
from supernet.models._regions import line_of, unfit
from supernet.models._tokens import Added, Conv, Dense, Excite, Pooled, Token, tokens_of
from supernet.models.tracing import Graph, trace
from supernet.space.operator import Activation, Gate, Operator, Padding

__all__ = ["Recognised", "Row", "recognise"]

_ARITHMETIC = ("add", "sub", "mul", "div")
_PROBABILITIES = ("_softmax", "_log_softmax", "sigmoid")


@dataclass(frozen=True, slots=True)
class Row:
    """An operator, and what it is in the network."""

    operator: Operator
    layers: str
    """The layers of the network, the first and the last of several."""
    weights: tuple[str, ...]
    """The first tensor of each of its layers with weights, in the order of our own network."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A network as operators."""

    rows: tuple[Row, ...]
    bn_eps: float
    """Of most of its batch norms."""

    @property
    def operators(self) -> list[Operator]:
        """Its operators in order."""
        return [row.operator for row in self.rows]


def recognise(network: nn.Module, image: Tensor) -> Recognised:
    """What a network consists of.

    Args:
        network: on the device of `image`, which may be ``meta``; left as it is.
        image: ``(N, C, H, W)``. TensorFlow's padding can be told from torch's where sizes are
            even at each stride: take a multiple of 32.

    Raises:
        ConfigError: it cannot be traced, or a layer is of no kind of block; names the first.
    """
    graph = trace(network, image)
    _check_ends(graph)
    tokens = tokens_of(line_of(graph), graph.steps[0])
    asymmetric = any(conv.pads[0] != conv.pads[2] for conv in _convs(tokens))
    padding: Padding = "same" if asymmetric else "symmetric"
    kinds = [kind for kind in KINDS.values() if not kind.in_cells]
    rows = tuple(_Parser(tokens, padding, kinds).rows())
    if any(_kind(row).starts for row in rows):  # then all that it can be, for stages of one kind
        first = sorted(kinds, key=lambda kind: not kind.starts)
        rows = tuple(_Parser(tokens, padding, first).rows())
    eps = Counter(conv.eps for conv in _convs(tokens)).most_common(1)
    return Recognised(rows, eps[0][0] if eps else 1e-5)


def _check_ends(graph: Graph) -> None:
    """Refuse what stands around networks and is no part of a space.

    Raises:
        ConfigError: images are normalised in the network, or it gives probabilities.
    """
    first, last = graph.steps[:2][-1], graph.steps[-1]
    if first.op.partition(".")[0] in _ARITHMETIC:
        raise ConfigError(
            "the network normalises its images itself, and a space reads normalised ones",
            hint="give the layers behind that; from a file, name MEAN and STD beside the function",
        )
    if last.op.partition(".")[0] in _PROBABILITIES:
        raise ConfigError(
            f"{last.layer} makes probabilities of the network's logits, and a space gives logits",
            hint="give the network without it",
        )


def _kind(row: Row) -> Kind:
    return KINDS.get(row.operator.op, KINDS["conv"])


def _convs(tokens: Sequence[Token]) -> Iterator[Conv]:
    for token in tokens:
        if isinstance(token, Conv):
            yield token
        elif isinstance(token, Added):
            yield from _convs([*token.body, *token.beside])


class _Parser:
    """Takes tokens from the front, the longest block first."""

    def __init__(self, tokens: Sequence[Token], padding: Padding, kinds: Sequence[Kind]) -> None:
        self._left, self._padding, self._kinds = list(tokens), padding, kinds

    def rows(self) -> Iterator[Row]:
        first = self._left[0]
        if not isinstance(first, Conv):
            raise unfit(first.step, "comes first, where a stem has a convolution with batch norm")
        yield self._flat(1)
        while not isinstance(self._left[0], Pooled) or not self._left[0].everything:
            yield self._next()
            if not self._left:
                raise unfit(first.step, "is followed by no global average pooling")
        yield from self._head()

    def _next(self) -> Row:
        token = self._left[0]
        if isinstance(token, Added):
            self._left.pop(0)
            made = self._match(token.body, token, last_act=token.act)
            if made is None:
                raise _unknown(token.body, token)
            return made
        if isinstance(token, Pooled):
            self._left.pop(0)
            return _pooling(token)
        run = [*itertools.takewhile(lambda t: isinstance(t, Conv | Excite), self._left)]
        if not run:
            raise unfit(token.step)
        for count in range(min(len(run), 6), 0, -1):
            if isinstance(run[count - 1], Conv) or count == 2:
                with_gate = run[count : count + 1]
                taken = count + (count == 1 and any(isinstance(t, Excite) for t in with_gate))
                if self._match(run[:taken], None) is not None:
                    return self._flat(taken)
        raise _unknown(run[:3], None)

    def _flat(self, count: int) -> Row:
        taken, self._left = self._left[:count], self._left[count:]
        made = self._match(taken, None)
        if made is None:
            raise _unknown(taken, None)
        return made

    def _match(
        self, tokens: Sequence[Token], around: Added | None, last_act: Activation = "none"
    ) -> Row | None:
        """The operator of these layers, with the shortcut around them."""
        convs = [token for token in tokens if isinstance(token, Conv)]
        gates = [token for token in tokens if isinstance(token, Excite)]
        if not convs or len(gates) > 1 or len(convs) + len(gates) < len(tokens):
            return None
        for kind in self._kinds:
            if kind.ends_in_act != (last_act != "none"):
                continue
            for operator in self._proposals(kind, convs, gates, around):
                seen = operator.act if kind.ends_in_act else last_act
                if seen == last_act and _is(operator, tokens):
                    return _row(operator, tokens, around)
        return None

    def _proposals(
        self, kind: Kind, convs: Sequence[Conv], gates: Sequence[Excite], around: Added | None
    ) -> Iterator[Operator]:
        """Operators of a kind that these layers may be."""
        ends = convs[0].sizes[0], convs[-1].sizes[1]
        middles = {0} if not kind.middle else {s for c in convs for s in c.sizes[:2]}
        kernels = {conv.sizes[2] for conv in convs}
        optional = {0} if kind.starts else set()
        groups = {c.sizes[0] // c.sizes[4] for c in convs if c.sizes[4]} if kind.grouped else ()
        stride = 1
        for conv in convs:
            stride *= conv.sizes[3]
        for middle, kernel, start, count, act in itertools.product(
            sorted(middles, reverse=True),
            sorted(kernels | optional, reverse=True),
            sorted(kernels | optional, reverse=True) if kind.starts else (0,),
            (*groups, 1),
            sorted({conv.act for conv in convs} - {"none"}) or ["none"],
        ):
            try:
                yield Operator(
                    op=kind.name,
                    in_channels=ends[0],
                    mid_channels=middle,
                    out_channels=ends[1],
                    kernel=kernel,
                    start=start,
                    stride=stride,
                    groups=count,
                    act=act,
                    se=gates[0].hidden if gates else 0,
                    gate=_gate_of(gates[0], act) if gates else "hard_sigmoid",
                    shortcut=around.shortcut if around else "none",
                    height=convs[0].height,
                    width=convs[0].width,
                    padding=self._padding if stride > 1 and max(kernel, start) > 1 else "symmetric",
                )
            except ConfigError:  # sizes that no operator of this kind has
                continue

    def _head(self) -> Iterator[Row]:
        pooled = self._left.pop(0)
        assert isinstance(pooled, Pooled)
        yield _pooling(pooled)
        while self._left:
            token = self._left[0]
            if isinstance(token, Conv):
                yield self._flat(1)
                continue
            if not isinstance(token, Dense):
                raise unfit(token.step, "stands behind the global average pooling")
            self._left.pop(0)
            operator = Operator(
                op="linear",
                in_channels=token.reads,
                out_channels=token.writes,
                bias=token.bias,
                act=token.act,
            )
            yield Row(operator, token.step.layer, token.weights)


def _gate_of(excite: Excite, act: str) -> Gate:
    """The gate of an operator with this activation; which it fits is compared later."""
    if excite.gate == "sigmoid":
        return "sigmoid"
    return "hard_sigmoid" if "relu" in (excite.act, act) else "hard_sigmoid_act"


def _is(operator: Operator, tokens: Sequence[Token]) -> bool:
    """Whether the convolutions of an operator are exactly these."""
    parts = parts_of(operator)
    expected: list[object] = []
    for part in parts:
        sizes = part.reads, part.writes, part.kernel, part.stride, part.group_width
        expected.append((sizes, part.along, part.pads, part.height, part.width, part.act))
        if operator.se and part.gated:
            expected.append((operator.se, operator.gate_acts))
    found: list[object] = []
    for token in tokens:
        if isinstance(token, Conv):
            found.append((token.sizes, "", token.pads, token.height, token.width, token.act))
        elif isinstance(token, Excite):
            found.append((token.hidden, (token.act, token.gate)))
    return found == expected


def _row(operator: Operator, tokens: Sequence[Token], around: Added | None) -> Row:
    layers = [*tokens, *(around.beside if around else ())]
    weights = [w for t in layers if isinstance(t, Conv | Excite) for w in t.weights]
    names = [token.step.layer for token in tokens]
    return Row(operator, names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}", (*weights,))


def _pooling(token: Pooled) -> Row:
    channels = token.step.shape[1]
    operator = Operator(
        op="pool" if token.everything else "maxpool",
        in_channels=channels,
        out_channels=channels,
        kernel=1 if token.everything else 3,
        stride=1 if token.everything else 2,
        height=token.height,
        width=token.width,
    )
    return Row(operator, token.step.layer, ())


def _unknown(tokens: Sequence[Token], around: Added | None) -> ConfigError:
    """That no kind of block consists of these layers."""
    words = ", ".join(_words(token) for token in tokens)
    added = ""
    if around is not None:
        added = f"; {around.shortcut} shortcut" + f", {around.act}" * (around.act != "none")
    return unfit(tokens[0].step, f"begins a block of {words}{added}")


def _words(token: Token) -> str:
    if isinstance(token, Conv):
        before, after, kernel, stride, group = token.sizes
        words = [f"{kernel}x{kernel} {before}-{after}", *[f"stride {stride}"] * (stride > 1)]
        words += [f"groups of {group}"] * (group > 0) + [token.act] * (token.act != "none")
        return " ".join(words)
    return "squeeze-excite" if isinstance(token, Excite) else token.step.op
