"""One network's latency taken apart: by stage, by operator, and by where it is known from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from supernet.latency.interval import Basis, with_interval
from supernet.latency.table import LatencyTable, Origin
from supernet.space import Operator, Subnet
from supernet.space.features import places_of
from supernet.space.layout import Place

__all__ = ["Explanation", "OperatorShare", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorShare:
    """What one operator takes of its network's latency."""

    place: Place
    """Such as the first block of ``stage2``; prints as ``stage2.block1``."""
    operator: Operator
    ms: float
    """Its share after the table's correction: shares add up to the network's latency."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A network's latency and its parts."""

    ms: float
    low_ms: float
    """NaN, as `high_ms`, where the error is not known."""
    high_ms: float
    basis: Basis
    shares: tuple[OperatorShare, ...]
    """In network order."""

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds of the stem, of each stage and of the head."""
        found: dict[str, float] = {}
        for share in self.shares:
            group = share.place.group
            found[group] = found.get(group, 0.0) + share.ms
        return found

    def count(self, origin: Origin) -> int:
        """Operators whose time is known from `origin`."""
        return sum(share.origin == origin for share in self.shares)

    def share(self, origin: Origin) -> float:
        """Of the latency, what is known from `origin`; from 0 to 1, of no latency 0."""
        own_ms = sum(share.ms for share in self.shares if share.origin == origin)
        return own_ms / self.ms if self.ms else 0.0


def explain(
    table: LatencyTable, subnet: Subnet, operators: Sequence[Operator], *, whole: bool = True
) -> Explanation:
    """The latency of a subnet, from its file alone: no space is needed.

    Args:
        table: of the target.
        subnet: names the stages.
        operators: of the subnet, in network order.
        whole: whether they are all of it; of a part no interval is known.

    Raises:
        ConfigError: the table does not know some of the operators.
    """
    origins = [table.origin(operator) for operator in operators]
    unknown = [o for o, origin in zip(operators, origins) if origin is None]
    table.check_known(list(dict.fromkeys(unknown)), f"subnet of space {subnet.space!r}")
    sums = np.array([table.row_ms(operator) for operator in operators])
    fitted = np.array([origin == "fitted" for origin in origins])
    params = float(sum(operator.params for operator in operators))
    total = table.correction_of(subnet.space, whole=whole).apply(
        sums.sum(keepdims=True), np.array([float(len(sums))]), params
    )
    counts = [np.array([origins.count(o)]) for o in ("measured", "interpolated", "fitted")]
    unlike = np.array([table.is_unlike(operator) for operator in operators])
    total_ms = max(float(sums.sum()), 1e-12)
    shares = [sums[of].sum(keepdims=True) / total_ms for of in (fitted, unlike)]
    prediction = with_interval(table, total, shares[0], counts, shares[1])
    parts = zip(
        places_of(subnet, operators),
        operators,
        table.operator_ms(operators, subnet.space, whole=whole),
        origins,
    )
    return Explanation(
        ms=float(prediction.ms[0]),
        low_ms=float(prediction.low_ms[0]) if whole else math.nan,
        high_ms=float(prediction.high_ms[0]) if whole else math.nan,
        basis=prediction.basis if whole else "unknown",
        shares=tuple(
            OperatorShare(place=place, operator=operator, ms=float(ms), origin=origin)
            for place, operator, ms, origin in parts
            if origin is not None
        ),
    )
