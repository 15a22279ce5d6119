"""How models are timed, and what one visit of a model gave."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from supernet.errors import ConfigError

__all__ = ["Protocol", "Timing", "Visit", "is_settled", "quick_protocol", "summarise"]

SLOW = 1.15
"""The gauge takes this much longer than at full speed: what is measured then is marked."""
MOST = 100
"""Timed runs in a visit, at most."""


@dataclass(frozen=True)
class Protocol:
    """How models are timed; kept with every table."""

    rounds: int = 12
    """Visits of a model at most; fewer when they agree."""
    least: int = 4
    """Visits of a model at least."""
    agreement: float = 0.005
    """A model is done when the standard error over its visits is no more than this share."""
    burst: int = 12
    """Timed runs in a visit, at least, each followed by one of the gauge."""
    visit_ms: float = 4.0
    """Short models run more often: for so long, though at most `MOST` times."""
    warmup: int = 3
    """Runs before those, not timed."""
    threads: int = 1
    statistic: str = "thread CPU time, median ratio to a gauge run in turn"

    def __post_init__(self) -> None:
        for name in ("rounds", "least", "burst", "warmup", "threads"):
            value, low = getattr(self, name), 0 if name == "warmup" else 1
            if value < low:
                raise ConfigError(f"protocol.{name}: must be at least {low}, found {value}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self)


def quick_protocol(threads: int) -> Protocol:
    """A third of the time, less sure."""
    return Protocol(rounds=4, least=2, burst=8, threads=threads)


class Visit(NamedTuple):
    """One visit of a model."""

    ratio: float
    """Its time divided by that of the gauge just before and after: median of the runs."""
    gauge_ms: float
    """What the gauge took meanwhile: median of the runs, in milliseconds."""
    least_ms: float
    """The model's fastest run, in milliseconds."""


class Timing(NamedTuple):
    """What was measured of one model."""

    ms: float
    """The statistic of the protocol, in milliseconds."""
    spread_ms: float
    """How far its visits lie from `ms`: the median distance, in milliseconds."""
    visits: int = 1
    slow: float = 1.0
    """How much slower than at full speed the machine was at the best of its visits; 1 where
    one of them was near full speed."""
    least_ms: float = 0.0
    """The fastest of all its runs, in milliseconds."""


def is_settled(visits: Sequence[Visit], protocol: Protocol) -> bool:
    """Whether a model needs no further visit.

    Args:
        visits: of the model.
        protocol: says how many visits, and how alike.
    """
    if len(visits) >= protocol.rounds:
        return True
    if len(visits) < protocol.least:
        return False
    # of a median, from the median distance, for times that scatter like a bell
    error = 1.4826 * 1.2533 * _spread(visits) / len(visits) ** 0.5
    return bool(error <= protocol.agreement * statistics.median(v.ratio for v in visits))


def summarise(visits: Sequence[Visit], full_ms: float) -> Timing:
    """The time of a model at full speed: its median ratio times the gauge's time.

    Args:
        visits: of the model, at least one.
        full_ms: what its gauge takes at full speed.
    """
    ratio = statistics.median(visit.ratio for visit in visits)
    slow = min(visit.gauge_ms for visit in visits) / full_ms
    return Timing(
        ms=ratio * full_ms,
        spread_ms=_spread(visits) * full_ms,
        visits=len(visits),
        slow=slow if slow > SLOW else 1.0,
        least_ms=min(visit.least_ms for visit in visits),
    )


def paired(model_ms: Sequence[float], gauge_ms: Sequence[float]) -> Visit:
    """A visit from runs in turn: gauge, model, gauge, model, and at last the gauge."""
    pairs = zip(model_ms, gauge_ms, gauge_ms[1:])
    ratios: list[float] = [2 * own / max(before + after, 1e-9) for own, before, after in pairs]
    return Visit(statistics.median(ratios), statistics.median(gauge_ms), min(model_ms))


def _spread(visits: Sequence[Visit]) -> float:
    middle = statistics.median(visit.ratio for visit in visits)
    return statistics.median(abs(visit.ratio - middle) for visit in visits)
