"""A latency table of operators that take as long as they have multiply-adds, and searches by it."""

from supernet.latency import LatencyPredictor, LatencyTable
from supernet.latency.correction import Correction
from supernet.latency.table import Row
from supernet.space import Space, operators_of
from supernet.train import Recipe, SearchPhase

__all__ = ["latencies_of", "settings", "table_of"]


def table_of(space: Space, target: str = "toy") -> LatencyTable:
    """Every term of a prediction counts: slope, intercept, operators, parameters."""
    rows = {
        operator: Row(operator=operator, ms=0.02 + operator.macs / 2e6, spread_ms=0)
        for operator in operators_of(space)
    }
    correction = Correction(
        slope=0.9, intercept_ms=0.05, per_operator_ms=0.01, per_mparam_ms=2.0, networks=12
    )
    return LatencyTable(target=target, device={}, rows=rows, correction=correction)


def latencies_of(space: Space, recipe: Recipe) -> dict[str, LatencyPredictor]:
    """By the phases of a recipe that search, what predicts the toy target."""
    predictor = table_of(space).predictor(space)
    return {phase.name: predictor for phase in recipe.searching}


def settings(method: str, **changes: object) -> SearchPhase:
    """Of a search on the toy target."""
    known = {"method": method, "target": "toy", "limit_ms": 0.3, "lr": 0.05, "weight": 1.0}
    return SearchPhase(**{**known, **changes})  # type: ignore[arg-type]  # tests pass wrong ones too
