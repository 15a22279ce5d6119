"""Search by the published predictor and phone table, beside the package `ofa`.

    python benchmarks/search.py --published FOLDER

FOLDER holds `acc_predictor.pth` and the folder `note10` of Once-for-All. Every search runs
in a process of its own, ours and theirs in turn. Parts:

- `speed`: the same 50,100 candidates (theirs: population 100, 500 generations),
- `quality`: at 15, 20, 25 and 30 ms, theirs as released, ours for at most a second,
- `front`: 10 to 60 ms, theirs once per limit, ours in one run of at most five seconds,
- `scoring`: ours only, new candidates a second by algorithm where all figures are cheap: the
  logarithm of MACs in place of the accuracy, and the phone's latency.

Writes `benchmarks/results/search_<hardware>_<date>.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, write_result

from supernet.search.objective import Values
from supernet.space import Genes

SIZES = (160, 176, 192, 208, 224)
LIMITS = (15, 20, 25, 30)
FRONT_LIMITS = (15, 20, 25, 30, 35, 40, 45, 50, 55, 60)
CANDIDATES = 50_100
REFERENCE = (70.0, 60.0)  # percent, ms: where the hypervolume begins
PARTS = ("speed", "quality", "front", "scoring")
CHEAP = 500_000  # candidates of `scoring`


# ---------------------------------------------------------------- one side, in its own process


def ofa_side(published: Path, limit: int, seed: int) -> dict[str, Any]:
    """One search by the package `ofa`, as released: best accuracy and seconds."""
    import random
    import types

    import torch
    import yaml

    sys.modules.setdefault("gdown", types.ModuleType("gdown"))  # imported, not needed
    from ofa.tutorial import evolution_finder, latency_table
    from ofa.tutorial.accuracy_predictor import AccuracyPredictor

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # what the package draws from
    evolution_finder.tqdm = lambda steps, **_: steps  # no bar: it takes time
    predictor = AccuracyPredictor(pretrained=False, device="cpu")
    state = torch.load(published / "acc_predictor.pth", weights_only=True, map_location="cpu")
    predictor.model.load_state_dict(state)
    table = latency_table.LatencyTable.__new__(latency_table.LatencyTable)
    table.latency_tables = {}
    for size in SIZES:  # the released code calls yaml.load without a loader
        estimator = latency_table.LatencyEstimator.__new__(latency_table.LatencyEstimator)
        text = (published / "note10" / f"{size}_lookup_table.yaml").read_text()
        estimator.lut = yaml.safe_load(text)
        table.latency_tables[size] = estimator
    finder = evolution_finder.EvolutionFinder("note10", limit, table, predictor)
    started = time.perf_counter()
    _, (accuracy, sample, latency) = finder.run_evolution_search()
    seconds = time.perf_counter() - started
    return {
        "top1": 100 * float(accuracy),
        "ms": float(latency),
        "seconds": seconds,
        "scored": CANDIDATES,
        "sample": {key: value for key, value in sample.items() if value},
    }


def our_side(
    published: Path, limit: int, seed: int, seconds: float, budget: int, algorithm: str, cheap: bool
) -> dict[str, Any]:
    """One search by ours: best accuracy, front, seconds."""
    from supernet import load_space
    from supernet.latency.ofa import read_ofa_tables
    from supernet.predict import load_predictor
    from supernet.search import Accuracy, Budget, macs, run_search
    from supernet.search.registry import algorithm as named
    from supernet.search.setup import problem_of

    space = load_space("mobilenet_v3_w1.2")
    files = sorted((published / "note10").glob("*.yaml"))
    table, count = read_ofa_tables(files, "note10"), macs(space)
    learned = load_predictor(published / "acc_predictor.pth", space)

    def predict(genes: Genes) -> Values:
        return np.log(count(genes)) if cheap else learned.mean(genes)

    problem = problem_of(
        space,
        {"note10": table},
        Accuracy(function=predict),
        limits={"latency": limit} if limit else {},
        fix={"resolution": SIZES},
    )
    run_search(problem, budget=Budget(scored=3000), seed=99)  # threads and caches are warm
    result = run_search(
        problem,
        factory=named(algorithm).factory,
        budget=Budget(scored=budget, seconds=seconds or np.inf),
        seed=seed,
    )
    best, front = result.best(), result.front
    ms = result.columns["latency@note10"]
    started = time.perf_counter()
    predict(result.genes)
    return {
        "top1": float(result.columns["top1"][best]),
        "ms": float(ms[best]),
        "seconds": result.seconds,
        "scored": len(result),
        "predictor_alone_s": time.perf_counter() - started,
        "front": [result.columns["top1"][front].tolist(), ms[front].tolist()],
    }


def apart(side: str, arguments: argparse.Namespace, limit: int, seed: int, **more: Any) -> Any:
    """A side in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, "--published", str(arguments.published)]
        command += ["--side", side, "--limit", str(limit), "--seed", str(seed), "--to", file.name]
        for name, value in more.items():
            command += [f"--{name}", str(value)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(file.name).read_text())


# ---------------------------------------------------------------- the parts


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds for the same number of candidates, in turn."""
    theirs, ours, alone = [], [], []
    for seed in range(arguments.ofa_seeds):
        theirs.append(apart("ofa", arguments, 20, seed)["seconds"])
        found = apart("ours", arguments, 20, seed, budget=CANDIDATES)
        ours.append(found["seconds"])
        alone.append(found["predictor_alone_s"])
    ratios = [a / b for a, b in zip(theirs, ours)]
    return {
        "candidates": CANDIDATES,
        "ofa_s": theirs,
        "ours_s": ours,
        "predictor_alone_s": alone,
        "ratio": _spread(ratios),
        "ours_over_predictor": _spread([a / b for a, b in zip(ours, alone)]),
        "aim": "ratio 30, ours_over_predictor 2",
    }


def quality(arguments: argparse.Namespace) -> dict[str, Any]:
    """Best predicted accuracy under limits, over seeds."""
    found = {}
    for limit in LIMITS:
        theirs = [apart("ofa", arguments, limit, s) for s in range(arguments.ofa_seeds)]
        ours = [
            apart("ours", arguments, limit, s, seconds=1.0, budget=arguments.budget)
            for s in range(arguments.seeds)
        ]
        found[f"{limit} ms"] = {
            "ofa": _spread([one["top1"] for one in theirs]),
            "ours": _spread([one["top1"] for one in ours]),
            "ofa_s": _spread([one["seconds"] for one in theirs]),
            "ours_s": _spread([one["seconds"] for one in ours]),
            "ours_scored": _spread([one["scored"] for one in ours]),
        }
    return found


def front(arguments: argparse.Namespace) -> dict[str, Any]:
    """Hypervolume of the front from 10 to 60 ms."""
    from supernet.search import hypervolume

    theirs = [apart("ofa", arguments, limit, 0) for limit in FRONT_LIMITS]
    points = np.array([(-one["top1"], one["ms"]) for one in theirs])
    reference = np.array([-REFERENCE[0], REFERENCE[1]])
    volumes, scored, seconds = [], [], []
    for seed in range(arguments.seeds):
        # the last batch and the result take some tenths more
        ours = apart("ours", arguments, 0, seed, seconds=4.4, budget=10 * arguments.budget)
        top1, ms = (np.array(values) for values in ours["front"])
        keep = (ms >= 10) & (ms <= REFERENCE[1])
        volumes.append(hypervolume(np.stack([-top1[keep], ms[keep]], axis=1), reference))
        scored.append(ours["scored"])
        seconds.append(ours["seconds"])
    return {
        "reference": {"top1": REFERENCE[0], "ms": REFERENCE[1]},
        "ofa": {
            "limits_ms": FRONT_LIMITS,
            "hypervolume": hypervolume(points, reference),
            "seconds": sum(one["seconds"] for one in theirs),
        },
        "ours": {
            "hypervolume": _spread(volumes),
            "scored": _spread(scored),
            "seconds": _spread(seconds),
        },
    }


def scoring(arguments: argparse.Namespace) -> dict[str, Any]:
    """New candidates a second where an accuracy costs nothing."""
    found: dict[str, Any] = {"candidates": CHEAP, "aim": 500_000}
    for name in ("random", "nsga2", "memetic"):
        runs = [
            apart("ours", arguments, 0, seed, budget=CHEAP, algorithm=name, cheap=1)
            for seed in range(arguments.seeds)
        ]
        found[name] = _spread([one["scored"] / one["seconds"] for one in runs])
    return found


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_hardware(parser)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ofa-seeds", type=int, default=5, help="runs of the slow side")
    parser.add_argument("--budget", type=int, default=100_000, help="most scored in a second")
    parser.add_argument("--side", choices=("ofa", "ours"), help="one search, for the benchmark")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--algorithm", default="memetic")
    parser.add_argument("--cheap", type=int, default=0, help="1: no accuracy is predicted")
    parser.add_argument("--to", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        if arguments.side == "ofa":
            found = ofa_side(arguments.published, arguments.limit, arguments.seed)
        else:
            found = our_side(
                arguments.published,
                arguments.limit,
                arguments.seed,
                arguments.seconds,
                arguments.budget,
                arguments.algorithm,
                bool(arguments.cheap),
            )
        arguments.to.write_text(json.dumps(found))
        return
    body = {part: globals()[part](arguments) for part in arguments.parts}
    print(json.dumps(body, indent=1))
    write_result("search", arguments.hardware, ("numpy", "ofa", "torch"), body)


if __name__ == "__main__":
    main()
