"""The two cells of a network of cells, each drawn as a graph."""

from collections.abc import Mapping, Sequence

from supernet.report._figure import picture
from supernet.report._markup import Markup, escape, join, tag
from supernet.report.views import CellView

__all__ = ["cells_figure"]

_WIDTH, _HEIGHT, _GAP, _ROW = 104.0, 40.0, 46.0, 74.0
_TOP = 30.0
_Box = tuple[float, float]
"""Left and middle of a box."""


def cells_figure(cells: Sequence[CellView], id_: str) -> Markup:
    """A graph for each cell, or nothing where there are none.

    Args:
        cells: of a subnet.
        id_: what the ids of the pictures start with.
    """
    if not cells:
        return Markup("")
    drawn = [_cell(cell, f"{id_}-{cell.kind}") for cell in cells]
    caption = (
        "Each box is a node: the sum of two operations, each on the state beside it. What "
        "the last box joins is the output, which the next two cells read as cur and prev."
    )
    return tag("div", *drawn, tag("p", escape(caption), class_="under"), class_="cells")


def _cell(cell: CellView, id_: str) -> Markup:
    boxes = _boxes(cell)
    parts = []
    for name, edges in _edges(cell).items():
        _, middle = boxes[name]
        for number, source in enumerate(edges):
            shift = _HEIGHT * ((number + 0.5) / len(edges) - 0.5)
            parts.append(_edge(boxes[source], (boxes[name][0], middle + shift)))
    for name, box in boxes.items():
        parts.append(_box(box, _texts(cell, name), name))
    width = max(left for left, _ in boxes.values()) + _WIDTH + 8
    height = max(middle for _, middle in boxes.values()) + _HEIGHT / 2 + 8
    whose = f" of {cell.published}" * bool(cell.published)
    heading = tag("text", escape(f"{cell.kind} cell{whose}"), class_="stage", x=width / 2, y=12)
    words = [
        f"node{number}: {left} of {first}, {right} of {second}"
        for number, ((first, second), (left, right)) in enumerate(
            zip(cell.inputs, cell.operations), start=1
        )
    ]
    return picture(
        join([heading, *parts]),
        id_=id_,
        kind="stage-picture",
        size=(width, height),
        title=f"{cell.kind} cell: {len(cell.inputs)} nodes, {', '.join(cell.output)} joined",
        description=". ".join(words),
    )


def _edges(cell: CellView) -> Mapping[str, Sequence[str]]:
    """What each box reads."""
    found = {f"node{n}": pair for n, pair in enumerate(cell.inputs, start=1)}
    return {**found, "out": cell.output}


def _boxes(cell: CellView) -> dict[str, _Box]:
    """A column for each distance from the inputs; in it one box below the other."""
    depth = {"prev": 0, "cur": 0}
    for name, sources in _edges(cell).items():
        depth[name] = 1 + max(depth[source] for source in sources)
    found: dict[str, _Box] = {}
    filled: dict[int, int] = {}
    for name, column in depth.items():
        row = filled[column] = filled.get(column, -1) + 1
        # later columns stand a little lower, so that edges do not run along boxes
        top = _TOP + 12 * (column % 3) * (name != "out")
        found[name] = 4 + column * (_WIDTH + _GAP), top + row * _ROW + _HEIGHT / 2
    return found


def _texts(cell: CellView, name: str) -> Sequence[str]:
    if not name.startswith("node"):
        return (name,)
    number = int(name.removeprefix("node")) - 1
    both = zip(cell.operations[number], cell.inputs[number])
    return [f"{operation}({state})" for operation, state in both]


def _box(box: _Box, texts: Sequence[str], name: str) -> Markup:
    left, middle = box
    kind = "kernel3" if name.startswith("node") else "kernel-none"
    top = middle - _HEIGHT / 2
    sizes = {"x": left, "y": top, "width": _WIDTH, "height": _HEIGHT, "rx": 4}
    parts = [tag("rect", class_=f"{kind} expanded", **sizes)]
    for number, text in enumerate(texts):
        y = middle + 4 + 15 * (number - (len(texts) - 1) / 2)
        parts.append(tag("text", escape(text), class_="channels", x=left + _WIDTH / 2, y=y))
    if name.startswith("node"):
        parts.append(tag("text", escape(name), class_="minor", x=left + _WIDTH / 2, y=top - 4))
    return tag("g", *parts)


def _edge(source: _Box, end: _Box) -> Markup:
    x, y = source[0] + _WIDTH, source[1]
    bend = max(20.0, (end[0] - x) / 2)
    path = f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {end[0] - bend:.1f} {end[1]:.1f} "
    return tag("path", class_="edge", d=f"{path}{end[0]:.1f} {end[1]:.1f}")
