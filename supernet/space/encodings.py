"""Other ways to write the choices of subnets: arrays of kernels, expand ratios and depths."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.space.genes import canonical
from supernet.space.layout import Dimension, Genes, Layout, StageDimensions, layout_of
from supernet.space.spec import Space
from supernet.space.stage import EXPANDING, Stage

__all__ = ["STAGE_CHOICES", "encode_choices", "encode_stage_choices"]

Numbers = npt.NDArray[np.float64]

STAGE_CHOICES = ("k", "e", "l", "se")
"""Kernel, expand ratio, layers (depth) and squeeze-excite, one of each a stage."""

_TOLD = {"depth", "kernel", "expand"}
_TOLD_BY_STAGE = {*_TOLD, "se", "block"}


def encode_choices(space: Space, ks: Numbers, e: Numbers, d: Numbers, r: Numbers) -> Genes:
    """Genes of networks written as kernels, expand ratios, depths and sizes.

    Args:
        space: that has them.
        ks: kernel of every block of every stage with more than one choice, ``(N, B)``.
        e: expand ratios, ``(N, B)``.
        d: depths of these stages, ``(N, S)``; those of stages with one depth may be left out.
        r: input sizes, ``(N,)``.

    Raises:
        ConfigError: wrong shapes, or a value that the space has not; names the first.
    """
    layout = layout_of(space)
    untold = _untold(layout, _TOLD)
    if untold:
        raise ConfigError(
            f"space {space.name!r} has choices that ks, e, d and r do not tell: "
            f"{', '.join(untold[:4])}{', …' * (len(untold) > 4)}",
            hint="write a CSV that names subnet.json files in a column `subnet`",
        )
    chosen = [(own, stage) for own, stage in zip(layout.stages, space.stages) if _open(stage)]
    blocks = sum(stage.max_depth for _, stage in chosen)
    elastic = [own.depth for own, stage in chosen if len(stage.depth) > 1]
    depths = elastic if d.ndim == 2 and d.shape[1] == len(elastic) else [s.depth for s, _ in chosen]
    shapes = {"ks": (ks, blocks), "e": (e, blocks), "d": (d, len(depths))}
    for name, (values, width) in shapes.items():
        if values.shape != (len(r), width):
            raise ConfigError(
                f"{name}: space {space.name!r} needs the shape ({len(r)}, {width}), "
                f"found {values.shape}"
            )
    genes: Genes = np.zeros((len(r), len(layout.genes)), dtype=np.int8)
    _put(genes, layout.resolution, r, "r")
    for index, dimension in enumerate(depths):
        _put(genes, dimension, d[:, index], f"d[{index}]")
    at = 0
    for own, stage in chosen:
        # the depth of a stage with one choice is that
        depth = np.array(stage.depth)[genes[:, own.depth.column] if own.depth.column >= 0 else 0]
        for block, (kernel, expand) in enumerate(zip(own.kernel, own.expand)):
            there = np.broadcast_to(block < depth, len(r))
            _put(genes, kernel, ks[:, at], f"ks[{at}]", there)
            if set(stage.block) & set(EXPANDING):
                _put(genes, expand, e[:, at], f"e[{at}]", there)
            at += 1
    return canonical(space, genes)


def _untold(layout: Layout, kinds: set[str], *, by_block: bool = True) -> list[str]:
    """Names of the genes that arrays of the kinds do not tell."""
    return [
        gene.name
        for gene in layout.genes
        if gene.place.part != "input"
        and not (
            gene.place.part == "stage" and gene.kind in kinds and (by_block or not gene.place.block)
        )
    ]


def _open(stage: Stage) -> bool:
    """Whether there is anything to choose: other stages are not written."""
    return max(len(stage.depth), len(stage.kernel), len(stage.expand)) > 1


def _put(
    genes: Genes,
    dimension: Dimension,
    values: Numbers,
    name: str,
    there: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Write the indices of `values` into their column, where the block is there."""
    choices = np.array(dimension.choices, dtype=np.float64)
    same = np.isclose(values[:, None], choices, rtol=1e-4, atol=0)  # float32 holds 0.35 nearly
    wrong = ~same.any(axis=1) & (True if there is None else there)
    if wrong.any():
        row = int(wrong.argmax())
        allowed = ", ".join(f"{choice:g}" for choice in choices)
        raise ConfigError(
            f"row {row}: {name}: must be one of {allowed}, found {values[row]:g} "
            f"(as in {int(wrong.sum())} rows)"
        )
    if dimension.column >= 0:
        genes[:, dimension.column] = same.argmax(axis=1)


def encode_stage_choices(space: Space, columns: Mapping[str, Numbers]) -> Genes:
    """Genes of networks written with one choice a stage.

    Args:
        space: whose stages share their kernel and their expand ratio.
        columns: ``k``, ``e``, ``l`` and ``se`` of shape ``(N, stages)``: kernels, expand
            ratios (1 means a block without expansion), layers, and whether there is
            squeeze-excite; ``r`` of shape ``(N,)``. Those of which the space has one
            choice may be left out.

    Raises:
        ConfigError: wrong shapes, or a value that the space has not; names the first.
    """
    layout = layout_of(space)
    untold = _untold(layout, _TOLD_BY_STAGE, by_block=False)
    if untold:
        raise ConfigError(
            f"space {space.name!r} has choices that k, e, l and se do not tell: "
            f"{', '.join(untold[:4])}{', …' * (len(untold) > 4)}"
        )
    count, stages = len(next(iter(columns.values()))), len(space.stages)
    for name, values in columns.items():
        shape = (count,) if name == "r" else (count, stages)
        if values.shape != shape:
            raise ConfigError(
                f"{name}: space {space.name!r} needs the shape {shape}, found {values.shape}"
            )
    genes: Genes = np.zeros((count, len(layout.genes)), dtype=np.int8)
    _put_or_default(genes, layout.resolution, columns.get("r"), "r")
    for number, (stage, own) in enumerate(zip(space.stages, layout.stages)):
        given = {name: v[:, number] for name, v in columns.items() if name != "r"}
        _put_or_default(genes, own.depth, given.get("l"), "l", number)
        _put_or_default(genes, own.kernel[0], given.get("k"), "k", number)
        _put_expand(genes, stage, own, given.get("e"), number)
        se = given.get("se")
        if se is not None and 1 not in stage.se and sum(map(bool, stage.se)) == 1:
            se = np.where(se == 1, max(stage.se), se)  # on means the only share
        _put_or_default(genes, own.se, se, "se", number)
    return canonical(space, genes)


def _put_or_default(
    genes: Genes,
    dimension: Dimension,
    values: Numbers | None,
    column: str,
    stage: int | None = None,
) -> None:
    if values is not None:
        _put(genes, dimension, values, column if stage is None else f"{column}[{stage}]")
    elif dimension.column >= 0:
        raise ConfigError(
            f"no column {column!r}, of which {dimension.name} has the choices "
            f"{', '.join(str(choice) for choice in dimension.choices[:8])}"
        )


def _put_expand(
    genes: Genes, stage: Stage, own: StageDimensions, values: Numbers | None, number: int
) -> None:
    """Expand ratios; 1 is a kind of block where the space has it as that."""
    plain = [kind not in EXPANDING for kind in stage.block]
    if own.block.column < 0 or values is None:
        _put_or_default(genes, own.expand[0], values, "e", number)
        return
    name = f"e[{number}]"
    if stage.block != ("dsconv", "mbconv"):
        raise ConfigError(f"{name}: tells dsconv from mbconv, not {', '.join(stage.block)}")
    one = np.isclose(values, 1)
    genes[:, own.block.column] = np.where(one, plain.index(True), plain.index(False))
    allowed = replace(own.expand[0], choices=(1, *own.expand[0].choices), column=-1)
    _put(genes, allowed, values, name)
    _put(genes, own.expand[0], np.where(one, own.expand[0].choices[0], values), name)
