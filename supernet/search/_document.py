"""``result.json``: what a saved search says beside its arrays, and what of it cannot be."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from supernet.search.records import MeasuredRecord, PredictorRecord, TargetRecord
from supernet.search.result import Axis, SearchResult
from supernet.space import WHOLE, Body, Genes, Space, canonical
from supernet.space.layout import layout_of

__all__ = ["Document", "SpaceId", "impossible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceId:
    """Which space was searched."""

    name: str
    hash: str
    num_classes: int
    """That of the run's images, as `in_channels`; neither counts for the hash."""
    in_channels: int

    @classmethod
    def of(cls, space: Space) -> "SpaceId":
        """That of a space."""
        return cls(
            name=space.name,
            hash=space.hash,
            num_classes=space.num_classes,
            in_channels=space.in_channels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The document as it is written."""

    created: str
    """When, UTC."""
    supernet: str
    """Version of this library."""
    space: SpaceId
    request: dict[str, Any]
    fixed: dict[str, Any]
    axes: tuple[Axis, ...]
    scored: int
    """Number of subnets in ``scored.npz``."""
    scored_sha256: str
    front: tuple[int, ...]
    """Indices among the scored subnets, the cheapest first."""
    chosen: int
    seconds: float
    bound: float | None = None
    predictor: PredictorRecord | None = None
    targets: tuple[TargetRecord, ...] = field(default_factory=tuple)
    measured: tuple[MeasuredRecord, ...] = field(default_factory=tuple)
    body: Body = WHOLE
    measures: tuple[str, ...] = ()


def impossible(result: SearchResult, document: Document) -> Iterator[str]:
    """What cannot be of a result that was read, one line each."""
    wrong = next(_wrong_arrays(result.problem.space, result.genes, document), "")
    if wrong:
        yield wrong
        return
    for axis in document.axes:
        if axis.limit is not None and not (math.isfinite(axis.limit) and axis.limit > 0):
            yield f"axes: limit of {axis.name} must be above 0 and finite, found {axis.limit}"
        if axis.objective and not np.isfinite(result.columns[axis.name][result.front]).all():
            yield f"front: a subnet has no {axis.name}"
    if not set(document.front) <= set(result.within_limits.tolist()):
        yield "front: a subnet breaks a limit"
    targets = {axis.target for axis in document.axes}
    yield from (
        f"targets: no figure is of {target.name[:60]!r}"
        for target in document.targets
        if target.name not in targets
    )
    for one in document.measured:
        if not 0 <= one.index < len(result):
            yield f"measured: expected an index from 0 and below {len(result)}, found {one.index}"
        yield from (
            f"measured: no figure is named {name[:60]!r}, or it is not finite"
            for name, value in one.figures.items()
            if name not in result.columns or not math.isfinite(value)
        )


def _wrong_arrays(space: Space, genes: Genes, document: Document) -> Iterator[str]:
    """What makes the rest meaningless."""
    count, names = len(genes), [axis.name for axis in document.axes]
    if len({*names}) < len(names) or not any(axis.objective for axis in document.axes):
        yield "axes: expected different names and at least one objective"
    outside = (genes < 0) | (genes >= layout_of(space).num_choices)
    if outside.any():
        yield f"scored subnet {int(outside.any(axis=1).argmax())}: genes that are no choices"
    elif (canonical(space, genes) != genes).any():
        yield "scored subnets: genes without effect must be 0"
    if not document.front or not all(
        0 <= index < count for index in (*document.front, document.chosen)
    ):
        yield f"front, chosen: expected at least one index, all from 0 and below {count}"
    if len({*document.front}) < len(document.front):
        yield "front: the same subnet twice"
