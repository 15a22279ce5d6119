"""What whole networks take by an imported table, by which a wrong unit is seen."""

from dataclasses import dataclass, replace

from supernet.latency.table import LatencyTable
from supernet.space import (
    Space,
    Subnet,
    decode,
    largest_subnet,
    load_space,
    operators,
    operators_of,
    smallest,
)

__all__ = ["Sums", "published_sums"]

_SPACES = ("mobilenet_v3", "mobilenet_v3_w1.2", "proxyless", "proxyless_w1.0")
"""Those that published tables are of."""
_KNOWN = 0.5  # share of a space's operators; tables of other spaces have a few by chance
_PIXELS = 3  # channels of an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The ends of a table: its smallest and its largest network."""

    space: str
    """Name of the space that the table is of."""
    smallest_px: int
    """Input size of the smallest network."""
    smallest_ms: float
    largest_px: int
    """Input size of the largest network."""
    largest_ms: float


def published_sums(table: LatencyTable) -> Sums | None:
    """The smallest network at the smallest size and the largest at the largest.

    They are of the space that the table knows best; None where it knows half of none.
    """
    sizes = {o.height for o in table.rows if o.in_channels == _PIXELS and o.height == o.width}
    if not sizes:
        return None
    spaces = [replace(load_space(name), resolutions=tuple(sorted(sizes))) for name in _SPACES]
    space = max(spaces, key=lambda one: _known(table, one))
    if _known(table, space) < _KNOWN or table.unknown(space):
        return None
    least, most = decode(space, smallest(space))[0], largest_subnet(space)
    return Sums(
        space=space.name,
        smallest_px=least.resolution,
        smallest_ms=_total_ms(table, space, least),
        largest_px=most.resolution,
        largest_ms=_total_ms(table, space, most),
    )


def _known(table: LatencyTable, space: Space) -> float:
    return 1 - len(table.missing(space)) / len(operators_of(space))


def _total_ms(table: LatencyTable, space: Space, subnet: Subnet) -> float:
    return sum(table.row_ms(operator) for operator in operators(space, subnet))
