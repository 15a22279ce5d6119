"""From the one network of a fixed space to a space around it, of which it is the largest subnet."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from supernet.blocks import KINDS
from supernet.space.identify import only_operators
from supernet.space.operator import Operator, round_channels
from supernet.space.spec import Space, Stem
from supernet.space.stage import EXPANDING, Stage

__all__ = ["Freedom", "widened"]

_SHARES = (0.5, 0.75)
"""Of the widths and expand ratios of the network, beside the whole."""
_STEP, _FEWEST = 32, 32
"""Pixels between input sizes, and of the smallest."""


@dataclass(frozen=True, slots=True)
class Freedom:
    """What may be chosen of a stage (the stem is stage 0, the head the last), and what not."""

    elastic: tuple[str, ...]
    """Each choice with its values."""
    fixed: tuple[str, ...]
    """Each with its reason."""


def widened(fixed: Space, *, resolution: int) -> tuple[Space, tuple[Freedom, ...]]:
    """A space whose largest subnet is the only one of another.

    Blocks that follow each other become one stage where a stage makes exactly these; then
    depths, widths, kernels, expand ratios and input sizes get smaller choices. The kind of block,
    the activation, squeeze-excite and shortcuts stay.

    Args:
        fixed: as of `supernet.space.identify.fixed_space`.
        resolution: the largest input size.

    Returns:
        The space, and for the stem, each stage and the head what is elastic and what is not.
    """
    merged = _merged(fixed)
    ends = [stage.max_depth for stage in merged.stages]
    blocks = [o for o in only_operators(fixed) if o.op in KINDS]
    stem = sum(1 for _ in _stem_convs(fixed.stem))
    starts = [stem + count for count in itertools.accumulate(ends, initial=0)]
    firsts = [blocks[start] for start in starts[:-1]]
    carried = [first.shortcut in ("identity", "pool") for first in firsts] + [False]
    stages = [
        _choices(stage, first, width=not (carried[s] or carried[s + 1]))
        for s, (stage, first) in enumerate(zip(merged.stages, firsts))
    ]
    own = _stem(fixed.stem, free=not carried[0])
    _part(own, stages)
    space = replace(
        merged,
        about="made from one network, which is its largest subnet",
        resolutions=_sizes(resolution),
        stem=own,
        stages=tuple(stages),
        head=replace(merged.head, features=_below(merged.head.features)),
    )
    notes = [_note(stage, carried[s], carried[s + 1]) for s, stage in enumerate(space.stages)]
    return space, (_stem_note(space.stem, carried[0]), *notes, _head_note(space))


def _stem_convs(stem: Stem) -> Iterator[int]:
    yield from range(1 + stem.depth[-1] + bool(stem.out))


def _merged(fixed: Space) -> Space:
    """Blocks that follow each other as stages of several."""
    wanted = only_operators(fixed)
    stages: list[Stage] = []
    waiting = list(fixed.stages)
    while waiting:
        stage = waiting.pop(0)
        while waiting and _alike(stage, waiting[0]):
            rest = tuple(waiting[1:])
            grown = next(
                (
                    one
                    for one in _unions(stage, waiting[0])
                    if only_operators(replace(fixed, stages=(*stages, one, *rest))) == wanted
                ),
                None,
            )
            if grown is None:
                break
            stage = grown
            del waiting[0]
        stages.append(stage)
    return replace(fixed, stages=tuple(stages))


def _alike(stage: Stage, block: Stage) -> bool:
    """Whether a block may belong to the stage before it, as far as that is seen at once."""
    names = ("block", "width", "kernel", "start", "group_width", "act", "gate")
    same = all(getattr(stage, name) == getattr(block, name) for name in names)
    room = stage.max_depth < 32  # of `Stage.depth`
    return same and room and block.stride == 1 and any(stage.se) == any(block.se)


def _unions(stage: Stage, block: Stage) -> Iterator[Stage]:
    """Stages that may make both."""
    of_se = [(stage.se, stage.se_of), (block.se, block.se_of)]
    if any(stage.se):
        of_se += [((0.25,), "in"), ((1 / 24,), "in"), ((0.25,), "mid"), ((1 / 6,), "mid")]
    shortcuts = dict.fromkeys([stage.shortcut, block.shortcut])
    expands = dict.fromkeys([stage.expand, block.expand])
    for shortcut, expand, (se, se_of) in itertools.product(
        shortcuts, expands, dict.fromkeys(of_se)
    ):
        yield replace(
            stage,
            depth=(stage.max_depth + 1,),
            shortcut=shortcut,
            expand=expand,
            se=se,
            se_of=se_of,
        )


def _choices(stage: Stage, first: Operator, *, width: bool) -> Stage:
    depth = stage.max_depth
    kernels = tuple(k for k in (3, 5, 7, 9, 11, 13) if k < stage.kernel[0])
    starts = tuple(k for k in (3, 5, 7, 9, 11, 13) if k < stage.start[0])
    return replace(
        stage,
        depth=tuple(range(math.ceil(depth / 2), depth + 1)),
        kernel=(*kernels, *stage.kernel),
        start=(*starts, *stage.start),
        expand=_ratios(stage, first),
        width=_below(stage.width) if width else stage.width,
    )


def _ratios(stage: Stage, first: Operator) -> tuple[float, ...]:
    """Smaller expand ratios, each with other middle channels than the next."""
    kind, (whole,) = KINDS[stage.block[0]], stage.expand
    if not kind.expands:
        return stage.expand
    read = first.out_channels if kind.middle == "out" else first.in_channels
    found, known = [whole], {first.mid_channels}
    for share in reversed(_SHARES):
        ratio = round(whole * share, 4)
        middle = round_channels(round(read * ratio), stage.group_width or 8)
        possible = ratio >= 0.01 and not (kind.unexpanded and ratio <= 1)  # of `Stage.expand`
        if possible and middle < min(known):
            found.insert(0, ratio)
            known.add(middle)
    return tuple(found)


def _below(widths: tuple[int, ...]) -> tuple[int, ...]:
    """Widths from half of the only one on, in multiples of 8."""
    smaller = {round_channels(w * share) for w in widths for share in _SHARES}
    return (*sorted(w for w in smaller if w < widths[0]), *widths) if widths else ()


def _stem(stem: Stem, *, free: bool) -> Stem:
    out, deep = stem.out, stem.depth[-1]
    return replace(
        stem,
        width=_below(stem.width) if free or out else stem.width,
        out=_below(out) if free else out,
        depth=tuple(range(deep + 1)) if stem.residual else stem.depth,
    )


def _part(stem: Stem, stages: list[Stage]) -> None:
    """Take out widths at which a block would add its input in some subnets and not in others."""
    before = stem.out or stem.width
    for s, stage in enumerate(stages):
        if stage.stride == 1 and stage.shortcut != ("none",):
            top, both = stage.width[-1], set(before) & set(stage.width)
            kept = tuple(w for w in stage.width if w == top or w not in both)
            stages[s] = replace(stage, width=kept)
            if s and top in before[:-1]:
                fewer = tuple(w for w in before if w != top)
                stages[s - 1] = replace(stages[s - 1], width=fewer)
        before = stages[s].width


def _sizes(resolution: int) -> tuple[int, ...]:
    """The input size and up to three smaller ones, from half of it on."""
    low = max(_FEWEST, resolution // 2)
    sizes = range(resolution, low - 1, -_STEP)
    return tuple(sorted(sizes[:4])) or (resolution,)


def _listed(name: str, values: Sequence[float]) -> str:
    return f"{name} {', '.join(f'{value:g}' for value in values)}"


def _note(stage: Stage, carried: bool, carries: bool) -> Freedom:
    elastic = [
        _listed(name, getattr(stage, name))
        for name in ("width", "depth", "kernel", "start", "expand")
        if len(getattr(stage, name)) > 1
    ]
    fixed = []
    if len(stage.width) == 1:
        why = "too narrow for another, or another would change a shortcut"
        if carried:
            why = "its first block adds its input to its output"
        elif carries:
            why = "the next stage's first block adds it to its output"
        fixed.append(f"width {stage.width[0]}: {why}")
    if len(stage.depth) == 1:
        fixed.append("depth 1: the only block of its shape")
    if len(stage.kernel) == 1 and stage.kernel[0]:
        fixed.append(f"kernel {stage.kernel[0]}: none is smaller but 1")
    if len(stage.expand) == 1 and stage.block[0] in EXPANDING:
        fixed.append(f"expand {stage.expand[0]:g}: no smaller one has other channels")
    if any(stage.se):
        fixed.append("squeeze-excite: as in the network")
    return Freedom(tuple(elastic), tuple(fixed))


def _stem_note(stem: Stem, carried: bool) -> Freedom:
    elastic = [
        _listed(name, getattr(stem, name))
        for name in ("width", "depth", "out")
        if len(getattr(stem, name)) > 1
    ]
    why = "the first block adds it to its output" if carried else "none is smaller"
    fixed = [f"width {stem.width[0]}: {why}"] if len(stem.width) == 1 else []
    fixed.append(f"kernel {stem.kernel}: a stem has one")
    fixed += ["max pooling: as in the network"] * stem.maxpool
    return Freedom(tuple(elastic), tuple(fixed))


def _head_note(space: Space) -> Freedom:
    head = space.head
    elastic = [_listed("features", head.features)] if len(head.features) > 1 else []
    fixed = [f"width {head.width}: a head has one"] if head.width else []
    return Freedom(tuple(elastic), (*fixed, "classifier: the data set decides its outputs"))
