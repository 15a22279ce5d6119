"""How models are timed, and what one visit of a model gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, NamedTuple, Sequence

from supernet.errors import ConfigError

__all__ = ["Protocol", "Timing", "Visit", "is_settled", "quick_protocol", "summarise"]

QUIET = 1.05
"""Two visits can agree when the gauge took at most this much longer than at full speed."""
BELIEVED = 1.15
"""A visit counts when the gauge took at most this much longer than at full speed."""
MOST = 100
"""Timed runs in a visit, at most."""


@dataclass(frozen=True)
class Protocol:
    """How models are timed; kept with every table."""

    rounds: int = 12
    """Visits of a model at most; fewer when they agree."""
    least: int = 4
    """Visits of a model at least."""
    agreement: float = 0.01
    """A model is done when its two fastest visits differ by no more than this share."""
    burst: int = 12
    """Timed runs in a visit, at least."""
    visit_ms: float = 4.0
    """Short models run more often: for so long, though at most `MOST` times."""
    warmup: int = 3
    """Runs before those, not timed."""
    threads: int = 1
    statistic: str = "minimum of thread CPU time"

    def __post_init__(self) -> None:
        for name in ("rounds", "least", "burst", "warmup", "threads"):
            value, low = getattr(self, name), 0 if name == "warmup" else 1
            if value < low:
                raise ConfigError(f"protocol.{name}: must be at least {low}, found {value}")

    def as_dict(self) -> Dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self)


def quick_protocol(threads: int) -> Protocol:
    """A third of the time, less sure."""
    return Protocol(rounds=4, least=2, burst=8, threads=threads)


class Visit(NamedTuple):
    """One visit of a model, in milliseconds."""

    ms: float
    """Least of the burst."""
    median_ms: float
    reference_ms: float
    """What the gauge took around it, the longer of before and after."""


class Timing(NamedTuple):
    """What was measured of one model."""

    ms: float
    """The statistic of the protocol, in milliseconds."""
    spread_ms: float
    """Median of all visits minus `ms`."""
    visits: int = 1
    slow: float = 1.0
    """How much slower than at its best the machine was whenever the model was visited;
    `ms` is already divided by it. 1 when at least one visit counts."""


def is_settled(visits: Sequence[Visit], best_ms: float, protocol: Protocol) -> bool:
    """Whether a model needs no further visit.

    Args:
        visits: of the model.
        best_ms: of its gauge at full speed.
        protocol: says how many visits, and how alike.
    """
    if len(visits) >= protocol.rounds:
        return True
    quiet = sorted(visit.ms for visit in visits if visit.reference_ms <= QUIET * best_ms)
    if len(visits) < protocol.least or len(quiet) < 2:  # noqa: PLR2004  # two can agree
        return False
    return quiet[1] <= (1 + protocol.agreement) * quiet[0]


def summarise(visits: Sequence[Visit], best_ms: float) -> Timing:
    """The least time of all visits that count; without any, scaled to full speed.

    A visit in which the gauge was a little slow can only have been too slow itself: it
    may lose against a quiet one, and needs no scaling.

    Args:
        visits: of one model, at least one.
        best_ms: of its gauge at full speed.
    """
    counted = [visit for visit in visits if visit.reference_ms <= BELIEVED * best_ms]
    slow = 1.0
    if not counted:
        slow = min(visit.reference_ms for visit in visits) / best_ms
        counted = [visit for visit in visits if visit.reference_ms <= QUIET * slow * best_ms]
    ms = min(visit.ms for visit in counted)
    medians = sorted(visit.median_ms for visit in visits)
    spread = max(0.0, medians[len(medians) // 2] - ms)
    return Timing(ms / slow, spread / slow, len(visits), slow)
