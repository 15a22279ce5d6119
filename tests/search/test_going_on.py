"""What every algorithm must do after a stop: go on as if there had been none.

A new entry of the registry is tested by being there.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.search import ALGORITHMS, AlgorithmInfo, Rung, SearchResult, load_result
from supernet.space import Domain, Genes, Space, macs_of

pytestmark = pytest.mark.timeout(300)

MOST = 40
BREEDING = dict.fromkeys(("nsga2", "memetic"), 270) | dict.fromkeys(
    ("optuna:nsga2", "optuna:nsga3"), 70
)  # more than are drawn at first
BUDGET = BREEDING | {"ei": 20, "bohb": 20, "optuna:tpe": 20, "optuna:gp": 14}  # who think long
GRID: dict[str, list[float | str]] = {
    "resolution": [24],
    "stem.width": [16],
    "stage1.width": [16],
    "stage2.width": [24],
    "expand": [3.0],
}
LIMIT = 0.5  # of the largest subnet's multiply-adds


class Stop(KeyboardInterrupt):
    """The end of a process, in the midst of a measurement."""


class Measured:
    """Accuracies from a formula, which note who is measured; one of them is the last.

    Args:
        space: of the subnets.
        last: measurements that are made before the end.
    """

    def __init__(self, space: Space, last: float = np.inf) -> None:
        self.calls: list[tuple[int, bytes]] = []
        self._space, self._last = space, last

    def __call__(self, genes: Genes, rung: int = -1) -> np.ndarray:
        if len(self.calls) >= self._last:
            raise Stop
        self.calls.extend((rung, row.tobytes()) for row in genes)
        noise = np.sin(genes.astype(float) @ np.arange(1, genes.shape[1] + 1) + rung)
        found: np.ndarray = 40 + 5 * np.log10(macs_of(self._space, genes)) + noise
        return np.where(genes.sum(axis=1) % 11 == 0, np.nan, found)  # some fail


@pytest.fixture(
    params=[
        pytest.param(info, marks=pytest.mark.slow if info.name == "optuna:gp" else (), id=info.name)
        for info in ALGORITHMS.values()
    ]
)
def info(request: pytest.FixtureRequest) -> AlgorithmInfo:
    found: AlgorithmInfo = request.param
    if found.of_optuna:
        pytest.importorskip("optuna")
        pytest.importorskip("cmaes")
        pytest.importorskip("scipy")
    return found


@pytest.fixture
def search(info: AlgorithmInfo, space: Space, tmp_path: Path) -> Callable[..., SearchResult]:
    """The search of an algorithm, in a folder."""
    domain = Domain.of(space, GRID if info.whole else {})
    limit = LIMIT * float(macs_of(space, domain.largest())[0])

    def searched(folder: str, measure: Measured, **options: Any) -> SearchResult:
        rungs = [
            Rung(name=f"top1@{number}", function=partial(measure, rung=number), share=share)
            for number, share in enumerate((1 / 9, 1 / 3))
        ]
        return supernet.search(
            space,
            accuracy=measure,
            ladder=rungs if info.climbs else (),
            objectives=["macs"],
            limits={} if info.whole else {"macs": limit},
            fix=GRID if info.whole else None,
            algorithm=info.name,
            budget=domain.count if info.whole else BUDGET.get(info.name, MOST),
            seed=3,
            folder=tmp_path / folder,
            **options,
        )

    return searched


def assert_same(one: SearchResult, other: SearchResult) -> None:
    assert one.complete
    assert other.complete
    np.testing.assert_array_equal(one.genes, other.genes)
    np.testing.assert_array_equal(one.front, other.front)
    assert one.columns.keys() == other.columns.keys()
    for name, values in one.columns.items():
        np.testing.assert_array_equal(values, other.columns[name])


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_search_that_was_stopped_twice_is_the_one_that_was_not(
    info: AlgorithmInfo,
    search: Callable[..., SearchResult],
    space: Space,
    tmp_path: Path,
    workers: int,
) -> None:
    """Nothing is measured twice but what was being measured at a stop."""
    everything = Measured(space)
    whole = search("whole", everything, workers=workers)
    count = len(everything.calls)
    assert len(set(everything.calls)) == count >= 14
    made: list[tuple[int, bytes]] = []
    for resume, part in ((False, count // 3), (True, count // 2)):
        measure = Measured(space, part)
        with pytest.raises(Stop):
            search("stopped", measure, workers=workers, resume=resume)
        made += measure.calls
    rest = Measured(space)
    again = search("stopped", rest, workers=workers, resume=True)
    assert rest.calls
    assert_same(again, whole)
    assert_same(load_result(tmp_path / "stopped").result, whole)
    assert set(made + rest.calls) == set(everything.calls)
    assert len(made + rest.calls) <= count + 2 * (workers - 1)
