"""Measurements until the best subnet is found, by every algorithm, where the truth is known.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/strategies.py --seeds 50

NAS-Bench-Macro: eight layers of one of three operators, the CIFAR-10 accuracy of all 6,561
networks measured by its authors. The file is theirs, and not part of this project. A search ends
as soon as it has measured the best network; one that does not within its budget (6,561, fewer for
those that think long) counts as 6,561. Drawing without repeats and without a preference takes
3,281, the median of an even draw.
"""

import argparse
import contextlib
import json
import time
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from records import add_hardware, require_one_thread, result_path, summary, write_result
from truths import LAYERS, nasbench_macro

from supernet.search import ALGORITHMS, Accuracy, Budget, Problem, algorithm, run_search
from supernet.space import Domain, Genes

NEAR = 0.1  # points below the best
BUDGET = 6561
MOST_TRIALS = 3000
OPTUNA = "Optuna itself"
NAMES = (
    *(OPTUNA, "ei", "surrogate", "aging", "local", "nsga2", "random", "reinforce", "netadapt"),
    *("optuna:tpe", "optuna:nsga2", "optuna:nsga3", "optuna:cmaes", "optuna:random"),
)

Values = npt.NDArray[np.float64]


class FoundError(Exception):
    """The best network was measured."""


class Table:
    """Looks accuracies up, in the order in which they are asked for."""

    def __init__(self) -> None:
        truth = nasbench_macro()
        self.space = truth.space
        self._top1 = {row.tobytes(): top1 for row, top1 in zip(truth.genes, truth.top1)}
        self.best = float(truth.top1.max())
        self.asked: list[float] = []

    def __call__(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``; ends the search with the best."""
        found = np.array([self._top1[row.tobytes()] for row in np.ascontiguousarray(genes)])
        self.asked += found.tolist()
        if found.max(initial=-np.inf) >= self.best:
            raise FoundError
        return found


def measured(name: str, seed: int) -> dict[str, float]:
    """Networks measured until the best one, and until one nearly as good; and the time."""
    table = Table()
    top1 = Accuracy(function=table, measured=True)
    problem = Problem(domain=Domain.of(table.space), objectives=(top1,))
    begun = time.process_time()
    with contextlib.suppress(FoundError):
        info = algorithm(name)
        budget = Budget(scored=min(BUDGET, info.budget))
        run_search(problem, factory=info.factory, budget=budget, seed=seed)
    return _counted(table, time.process_time() - begun)


def measured_by_optuna(seed: int) -> dict[str, float]:
    """The same by Optuna alone: its default sampler, nothing to begin with, repeats not counted."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table, known = Table(), {}
    begun = time.process_time()

    def objective(trial: Any) -> float:
        row = tuple(trial.suggest_categorical(f"layer{i}", [0, 1, 2]) for i in range(LAYERS))
        if row not in known:
            known[row] = float(table(np.array([row], dtype=np.int8))[0])
        return known[row]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    with contextlib.suppress(FoundError):
        study.optimize(objective, n_trials=MOST_TRIALS)
    return _counted(table, time.process_time() - begun)


def _counted(table: Table, cpu_s: float) -> dict[str, float]:
    best = np.maximum.accumulate(table.asked)
    return {
        "best": float(_first(best >= table.best)),
        "near": float(_first(best >= table.best - NEAR)),
        "cpu_s": cpu_s,
    }


def _first(reached: npt.NDArray[np.bool_]) -> int:
    return int(reached.argmax()) + 1 if reached.any() else BUDGET


def main() -> None:
    """Search, print, write; an algorithm that was measured before is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--algorithms", nargs="+", choices=[*ALGORITHMS, OPTUNA], default=NAMES)
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    path = result_path("strategies", options.hardware)
    kept: dict[str, Any] = json.loads(path.read_text())["rows"] if path.is_file() else {}
    for name in options.algorithms:
        run = measured_by_optuna if name == OPTUNA else partial(measured, name)
        own = [run(seed) for seed in range(options.seeds)]
        kept[name] = {key: summary([one[key] for one in own]) for key in own[0]} | {
            "seeds": options.seeds
        }
        print(name, json.dumps(kept[name]), flush=True)
        body = {"networks": BUDGET, "near_points": NEAR, "rows": kept}
        path = write_result("strategies", options.hardware, ("optuna",), body)
    print(path)


if __name__ == "__main__":
    main()
