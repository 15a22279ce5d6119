"""From the result of a search to what the page shows of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from supernet.report.views import MACS, CellView, FrontPoint, OperatorRow, PlotAxis, SearchView
from supernet.search import Axis, ProblemRecord, SearchResult
from supernet.space import Space, Subnet, decode, macs_of, params_of, slot_operators
from supernet.space.cells import kept_states, pair_of, state_names
from supernet.space.published_cells import published_name

__all__ = ["plot_axis", "result_view"]

_SEARCHED = 1500  # subnets that the page may choose from for its cloud
_LABELLED = 150  # points of the front with a text where no network can be drawn
_LABELS = {
    "top1": "top-1 accuracy",
    "macs": "multiply-adds",
    "params": "parameters",
    "file_size": "file size",
    "file_size@int8": "file size, int8",
    "peak_memory": "peak memory",
    "peak_memory@int8": "peak memory, int8",
}


def plot_axis(axis: Axis) -> PlotAxis:
    """A figure with the words and the unit that it is shown with."""
    label = f"latency on {axis.target}" if axis.target else _LABELS.get(axis.name, axis.name)
    unit, divisor = axis.unit, 1.0
    if axis.name in ("macs", "params"):
        unit, divisor = "M", 1e6
    elif axis.unit == "bytes":
        unit, divisor = "MB", 1e6
    return PlotAxis(
        name=axis.name,
        label=label,
        unit=unit,
        divisor=divisor,
        maximise=axis.maximise,
        limit=axis.limit,
    )


def result_view(
    result: SearchResult,
    name: str,
    *,
    chosen: int | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    networks: int = 150,
    **known: Any,
) -> SearchView:
    """What is shown of a result.

    Args:
        result: of a search.
        name: of the search.
        chosen: index of the chosen subnet; the best of the front when not given.
        prices: latency in milliseconds by an operator's key for each target, to say where time
            goes; MACs are shown when not given.
        networks: how many subnets of the front can be drawn, beside the chosen one; 0 for none.
        known: other fields of `SearchView`.
    """
    axes = _with_counts(result)
    front = [*result.front.tolist()]
    best = result.best() if chosen is None else chosen
    if best not in front:  # such as one that was confirmed by measuring
        front.append(best)
    columns = np.stack([_column(result, axis.name, np.array(front)) for axis in axes], axis=1)
    space = result.problem.space
    drawn = _drawn(len(front), front.index(best), networks or _LABELLED)
    subnets = dict(zip(drawn, decode(space, result.genes[[front[i] for i in drawn]]), strict=True))
    points = tuple(
        FrontPoint(
            values=tuple(map(_known, row)),
            label=str(subnets.get(position, "")),
            number=position + 1 if position < len(result.front) else 0,
            operators=_rows(result.problem, subnets[position], prices)
            if networks and position in subnets
            else (),
            cells=_cells(space, subnets[position]) if networks and position in subnets else (),
        )
        for position, row in enumerate(columns.tolist())
    )
    return SearchView(
        name=name,
        axes=axes,
        searched=_cloud(result, axes),
        scored=len(result),
        front=points,
        chosen=front.index(best),
        costs=_cost_names(prices),
        **known,
    )


def _drawn(count: int, chosen: int, most: int) -> list[int]:
    """Positions on the front whose networks can be drawn, evenly spread."""
    spread = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
    return sorted({*spread, chosen})


def _with_counts(result: SearchResult) -> tuple[PlotAxis, ...]:
    """The figures of a result, and MACs and parameters, which every subnet has."""
    axes = [plot_axis(axis) for axis in result.problem.axes]
    names = {axis.name for axis in axes}
    for name in ("macs", "params"):
        if name not in names:
            axes.append(plot_axis(Axis(name=name, unit="", maximise=False, objective=False)))
    return tuple(axes)


def _column(result: SearchResult, name: str, index: Any) -> Any:
    """Values of one figure, shape ``(len(index),)``."""
    if name in result.columns:
        return result.columns[name][index]
    count = macs_of if name == "macs" else params_of
    return count(result.problem.space, result.genes[index], result.problem.body)


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cloud(result: SearchResult, axes: tuple[PlotAxis, ...]) -> tuple[tuple[float, ...], ...]:
    """Scored subnets, evenly spread over the search; those with an unknown figure left out."""
    index = np.unique(np.linspace(0, len(result) - 1, _SEARCHED).astype(np.int64))
    table = np.stack([_column(result, axis.name, index) for axis in axes], axis=1).astype(float)
    table = table[np.isfinite(table).all(axis=1)]
    return tuple(tuple(row) for row in table.tolist())


def _cost_names(prices: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What the costs of operators are."""
    if not prices:
        return (MACS,)
    return tuple(f"latency on {target}" for target in prices) if len(prices) > 1 else ("latency",)


def _cells(space: Space, subnet: Subnet) -> tuple[CellView, ...]:
    if space.cells is None:
        return ()
    found = []
    for cell in subnet.cells:
        pairs = [node.inputs for node in cell.nodes]
        names = state_names(len(pairs))
        kept = kept_states(space.cells.cell(cell.kind).joined, pairs)
        found.append(
            CellView(
                kind=cell.kind,
                inputs=tuple(map(pair_of, pairs)),
                operations=tuple((node.left, node.right) for node in cell.nodes),
                output=tuple(names[state] for state in kept),
                published=published_name(subnet),
            )
        )
    return tuple(found)


def _rows(
    problem: ProblemRecord, subnet: Subnet, prices: Mapping[str, Mapping[str, float]] | None
) -> tuple[OperatorRow, ...]:
    slots = slot_operators(problem.space, subnet)
    counted = problem.body.of(subnet, [operator for _, operator in slots])  # the first of them
    return tuple(
        OperatorRow(
            slot=slot.name,
            group=slot.place.group,
            operator=operator,
            costs=tuple(max(0.0, one.get(operator.key, 0.0)) for one in prices.values())
            if prices
            else (float(operator.macs),),
        )
        for (slot, _), operator in zip(slots, counted)
    )
