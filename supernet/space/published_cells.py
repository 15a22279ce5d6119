"""Cells that were published, as subnets of the spaces that they were found in."""

from collections.abc import Mapping

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.space.cells import CellChoice, NodeChoice
from supernet.space.layout import layout_of
from supernet.space.spec import Space
from supernet.space.subnet import Subnet, subnet_values

__all__ = ["PUBLISHED_CELLS", "published_in", "published_name", "published_subnet"]


def _nodes(*nodes: tuple[str, str, str]) -> tuple[NodeChoice, ...]:
    return tuple(NodeChoice(inputs=pair, left=left, right=right) for pair, left, right in nodes)


_NASNET_A = (
    CellChoice(
        kind="normal",
        nodes=_nodes(
            ("prev+cur", "sep3", "sep5"),
            ("prev+prev", "sep5", "sep3"),
            ("prev+cur", "identity", "avg3"),
            ("prev+prev", "avg3", "avg3"),
            ("cur+cur", "sep3", "identity"),
        ),
    ),
    CellChoice(
        kind="reduction",
        nodes=_nodes(
            ("prev+cur", "sep7", "sep5"),
            ("prev+cur", "sep7", "max3"),
            ("prev+cur", "sep5", "avg3"),
            ("node1+node2", "avg3", "identity"),
            ("cur+node1", "max3", "sep3"),
        ),
    ),
)
"""Figure 4 of arXiv:1707.07012; ``nasnet_utils.py`` of TensorFlow's models."""

_DARTS_V2 = (
    CellChoice(
        kind="normal",
        nodes=_nodes(
            ("prev+cur", "sep3", "sep3"),
            ("prev+cur", "sep3", "sep3"),
            ("prev+cur", "identity", "sep3"),
            ("prev+node1", "identity", "dil3"),
        ),
    ),
    CellChoice(
        kind="reduction",
        nodes=_nodes(
            ("prev+cur", "max3", "max3"),
            ("cur+node1", "max3", "identity"),
            ("prev+node1", "max3", "identity"),
            ("cur+node1", "max3", "identity"),
        ),
    ),
)
"""Figures 4 and 5 of arXiv:1806.09055; ``genotypes.py`` of its authors' code."""

PUBLISHED_CELLS: Mapping[str, tuple[CellChoice, ...]] = {
    "nasnet_a": _NASNET_A,
    "darts_v2": _DARTS_V2,
}
"""By name."""


def published_subnet(space: Space, name: str) -> Subnet:
    """The subnet of a space of cells whose cells are those published under a name.

    Raises:
        ConfigError: no such cells, or none of this space.
    """
    if name not in PUBLISHED_CELLS:
        raise ConfigError(f"no published cells {name!r}; {nearest(name, PUBLISHED_CELLS)}")
    if space.cells is None:
        raise ConfigError(
            f"space {space.name!r} has no cells, so {name!r} is no subnet of it",
            hint="`supernet spaces show NAME` names those that a space of cells has",
        )
    layout = layout_of(space)
    subnet = Subnet(
        space=space.name,
        space_hash=space.hash,
        resolution=space.resolutions[-1],
        stem_width=space.stem.width[0],
        stem_depth=0,
        stem_out=0,
        stages=(),
        features=0,
        cells=PUBLISHED_CELLS[name],
    )
    subnet_values(layout, subnet)
    return subnet


def published_in(space: Space) -> dict[str, Subnet]:
    """The subnets of a space whose cells were published, by the names of these."""
    found = {}
    for name in PUBLISHED_CELLS:
        try:
            found[name] = published_subnet(space, name)
        except ConfigError:  # another number of nodes, or operations that it has not
            continue
    return found


def published_name(subnet: Subnet) -> str:
    """The name under which its cells were published; empty where they were not."""
    return next((name for name, cells in PUBLISHED_CELLS.items() if cells == subnet.cells), "")
