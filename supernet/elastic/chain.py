"""An elastic block of several parts, put together as its kind says (`supernet.blocks`)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.blocks import INPUT, KINDS, Part, linked, parts_of, program
from supernet.elastic.activation import make_activation
from supernet.elastic.conv import ElasticConv
from supernet.elastic.joining import ElasticAttention, ElasticScale, shared_part
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance, ranked
from supernet.elastic.parts import (
    ElasticConvNorm,
    ElasticResidual,
    prefixed,
    squeeze_excite,
    widest_of,
)
from supernet.elastic.spans import Spans, spans_of, widest
from supernet.elastic.streams import Stream, streams_of
from supernet.space import Operator

__all__ = ["ElasticChain"]

_Weighted = ElasticConvNorm | ElasticBatchNorm | ElasticScale
"""A part with weights."""


class ElasticChain(ElasticResidual):
    """A block of several parts, as its kind says (`supernet.blocks`)."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of one kind of block)."""
        super().__init__()
        kind = KINDS[operators[0].op]
        self._operators = tuple(operators)
        found = [part for operator in operators for part in parts_of(operator)]
        parts = kind.parts(operators[0])
        names = [part.name for part in parts]
        self.forms = {n: forms for n in names if (forms := [p for p in found if p.name == n])}
        # a form of one group does not say that others have several
        self._parts = {
            part.name: part._replace(group_width=_most(self.forms[part.name], "group_width"))
            for part in linked(parts, self.forms)
        }
        self._segments = {
            name: (widest([p.read_segments for p in own]), widest([p.segments for p in own]))
            for name, own in self.forms.items()
        }
        gated = [name for name in self.forms if any(part.gated for part in self.forms[name])]
        self._gated, self.se = "", None
        for name, forms in self.forms.items():
            sizes = [sum(segments) for segments in self._segments[name]]
            made = _made(forms, *sizes, momentum=momentum, eps=eps, learned=learned)
            setattr(self, name, made)
            if [name] == gated[-1:]:
                self._gated, self.se = name, squeeze_excite(operators, _most(forms, "writes"))
        widths = {name: _most(forms, "writes") for name, forms in self.forms.items()}
        widths[INPUT] = widest_of(operators, "in_channels")
        self.streams = streams_of(list(self._parts.values()), widths)
        self.make_shortcut(operators, momentum=momentum, eps=eps)
        self.act = make_activation(operators[0].act) if kind.ends_in_act else None

    def part(self, name: str) -> ElasticConvNorm:
        """One of its convolutions."""
        found = getattr(self, name)
        assert isinstance(found, ElasticConvNorm)
        return found

    def activate(self, operator: Operator, *, reads: Spans = None) -> None:
        """Become `operator`, which reads the first channels or those of `reads`.

        These go to convolutions that mix them, with nothing before that has values for each.
        """
        parts = parts_of(operator)
        first = {} if reads is None else {n: reads for n, *_ in self.streams[INPUT].readers}
        for part in parts:
            self._activate(part, first.get(part.name))
        self.activate_ends(operator)
        steps = program(parts)
        self.form += [steps, max(step.writes for step in steps) + 1]

    def _activate(self, part: Part, given: Spans) -> None:
        module, (reads, writes) = getattr(self, part.name), self._segments[part.name]
        spans = spans_of(part.segments, writes)
        if isinstance(module, ElasticConvNorm):
            own = spans_of(part.read_segments, reads) if given is None else given
            module.activate(part.reads, part.writes, part.kernel, reads=own, writes=spans)
        elif isinstance(module, ElasticAttention):
            module.activate(part.heads)
        elif isinstance(module, ElasticBatchNorm | ElasticScale):
            module.activate(part.writes, spans)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        *_, steps, count = self.form
        held = [x] * count
        for name, reads, number, gated in steps:
            y = getattr(self, name)(*[held[read] for read in reads])
            if gated:
                y = self.gate(y)
            held[number] = y
        y = self.add_shortcut(x, y)
        return y if self.act is None else self.act(y)

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Chain`."""
        names = [step.name for step in self.form[3]]
        own = {n: getattr(self, n) for n in names}
        held = {n: m.active_state() for n, m in own.items() if isinstance(m, _Weighted)}
        return prefixed(**held) | self.ends_state()

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`, of all that mix the channels."""
        own = [worth for worth, _ in self._read(self.streams[INPUT], power)]
        return self.with_shortcut(_sum(own), power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        *_, last = self._parts
        return self._varies(last)

    @property
    def orders_output(self) -> bool:
        """Whether it can write its channels in any order: one part alone makes them."""
        own = [stream for name, stream in self.streams.items() if stream.leaves and name != INPUT]
        *_, last = self.forms
        return len(own) == 1 and own[0].size == _most(self.forms[last], "writes")

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self._permute(INPUT, order)
        self.permute_shortcut_input(order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        (writer,) = (n for n, stream in self.streams.items() if stream.leaves and n != INPUT)
        self._permute(writer, order)
        self.permute_shortcut_output(order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:
        """Order the channels between two parts that mix them, of the heads, and of the gate."""
        for writer, stream in reversed(self.streams.items()):
            if writer == INPUT or stream.leaves or stream.attended:
                continue
            worth, widths = self._worth(stream, by), self._widths(writer)[:trained]
            own = [part for name, _ in stream.carriers for part in self.forms[name]]
            unit = max((part.group_width for part in own), default=0)
            if unit > 1:  # whole groups move
                groups = ranked(worth.view(-1, unit).sum(1), [width // unit for width in widths])
                order = (
                    groups[:, None] * unit + torch.arange(unit, device=groups.device)
                ).flatten()
            else:
                order = ranked(worth, widths)
            self._permute(writer, order)
        for name, part in self._parts.items():
            if part.what == "attention":
                self._sort_heads(name, by, trained)
        if self.se is not None:
            self.se.sort()

    def _sort_heads(self, name: str, by: Importance, trained: int) -> None:
        """Order heads, what each compares, and what each gets, of an attention."""
        query, key, value = self._parts[name].inputs
        counts = sorted({part.heads for part in self.forms[name]}, reverse=True)
        whole, sizes = counts[0], self._widths(key)[:trained]
        worth = self._worth(self.streams[name], by).view(whole, -1)
        heads = ranked(worth.sum(1), counts[:trained])
        gets = ranked(worth.sum(0), self._widths(value)[:trained])
        asks = self._varies(query).view(whole, -1).sum(0) * self._varies(key)
        compares = ranked(asks, sizes)
        self._permute(query, (heads[:, None] * len(compares) + compares).flatten())
        self._permute(key, compares)
        self._permute(value, gets)
        self._permute(name, (heads[:, None] * len(gets) + gets).flatten())

    def _widths(self, writer: str) -> list[int]:
        """Widths that a part has between the widest input and output, falling."""
        ends = max((o.in_channels, o.out_channels) for o in self._operators)
        of_ends = [o for o in self._operators if (o.in_channels, o.out_channels) == ends]
        parts = [part for o in of_ends for part in parts_of(o) if part.name == writer]
        return sorted({part.writes for part in parts}, reverse=True)

    def _read(self, stream: Stream, power: int) -> list[tuple[Tensor, str]]:
        """What each of its readers reads of each channel, and where it reads it."""
        found = []
        for reader, feeder, start in stream.readers:
            reads = self.part(reader).reads(power)
            found.append((reads[start : start + stream.size], feeder))
        return found

    def _worth(self, stream: Stream, by: Importance) -> Tensor:
        """`supernet.elastic.ordering.importance` to all of its readers together."""
        if by == "weights":
            return _sum([reads for reads, _ in self._read(stream, 1)])
        starts = [start for *_, start in stream.readers]
        return _sum(
            [
                reads * self._varies(feeder)[start : start + stream.size]
                for (reads, feeder), start in zip(self._read(stream, 2), starts)
            ]
        )

    def _varies(self, name: str) -> Tensor:
        """Variance of the channels that a part writes."""
        part, module = self._parts[name], getattr(self, name)
        if part.what == "concat":
            return torch.cat([self._varies(own) for own in part.inputs])
        if part.what == "attention":
            return self._varies(part.inputs[2]).repeat(max(p.heads for p in self.forms[name]))
        if isinstance(module, ElasticScale):
            return module.weight.square() * self._varies(part.inputs[0])
        if isinstance(module, ElasticBatchNorm):
            return module.varies(nn.Identity())
        if isinstance(module, ElasticConvNorm):
            return module.varies()
        return self._varies(part.inputs[0])

    def _permute(self, writer: str, order: Tensor) -> None:
        """Another order of the channels of a stream, wherever they are."""
        stream = self.streams[writer]
        places = [*([(writer, 0)] if writer != INPUT else []), *stream.carriers]
        for name, start in places:
            _, writes = map(sum, self._segments[name])
            module, whole = getattr(self, name), _placed(order, start, writes)
            if isinstance(module, _Weighted):
                module.permute_output(whole)
            if self.se is not None and name == self._gated:
                self.se.permute(whole)
        for name, _, start in stream.readers:
            reads, _ = map(sum, self._segments[name])
            self.part(name).permute_input(_placed(order, start, reads))


def _placed(order: Tensor, start: int, whole: int) -> Tensor:
    """An order of some channels among others that stay, shape ``(whole,)``."""
    if len(order) == whole:
        return order
    found = torch.arange(whole, device=order.device)
    found[start : start + len(order)] = start + order
    return found


def _sum(values: Sequence[Tensor]) -> Tensor:
    """Of at least one; one alone stays as it is."""
    first, *others = values
    for other in others:
        first = first + other
    return first


def _most(forms: Sequence[Part], field: str) -> int:
    return max(int(getattr(part, field)) for part in forms)


def _made(
    forms: Sequence[Part], before: int, after: int, *, momentum: float, eps: float, learned: bool
) -> nn.Module:
    """One part of a block, which holds the weights of all its forms.

    Args:
        forms: of the part.
        before: channels that they read together.
        after: channels that they write together.
        momentum: of batch norm.
        eps: of batch norm.
        learned: whether smaller kernels have a learned transform.
    """
    shared = shared_part(forms[0])
    if shared is not None:
        return shared
    match forms[0].what:
        case "norm":
            return ElasticBatchNorm(after, momentum=momentum, eps=eps)
        case "scale":
            return ElasticScale(after)
        case "attention":
            return ElasticAttention()
    conv = ElasticConv(
        before,
        after,
        kernels=[part.kernel for part in forms],
        stride=forms[0].stride,
        same=any(part.padding == "same" for part in forms),
        group_width=_most(forms, "group_width"),
        dilation=forms[0].dilation,
        learned=learned,
        along=forms[0].along,
    )
    if forms[0].mixes and not forms[0].normed:  # no batch norm of its own takes its scale away
        nn.init.xavier_uniform_(conv.weight)
    norm = ElasticBatchNorm(after, momentum=momentum, eps=eps) if forms[0].normed else None
    return ElasticConvNorm(conv, norm, make_activation(forms[0].act))
