r"""Which of two spaces has the better networks, at equal time of training and equal latency?

    python benchmarks/two_spaces.py --data FOLDER --minutes 10 --seeds 0 1 2

FOLDER has train/ and val/ with a folder of pictures for each class. A supernet of each space is
trained from scratch for `--minutes` and searched; neither is finetuned. Each learns at the best of
some learning rates, shares of the recipe's, which short trainings of its largest subnet choose on
held-out images (`--probe` of the time each, not counted). Equal time: seconds of a step are
measured at the start, the fastest round counts, and the minutes become steps. Equal
latency: the first space may take as long as what was found in the second, measured in turn in ONNX
Runtime on one thread; where it takes more than 1 % longer a faster one is taken. Accuracies are of
all test images, by the ONNX files.

Every row is kept at once in `--work`: the same command goes on, and may name more seeds. Writes
`benchmarks/results/<--out>_<hardware>_<date>.json`.
"""

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from equal_time import fitted, training_turn
from outcome_costs import Costs, costs_of
from outcome_ours import (
    Job,
    loadable,
    our_recipe,
    our_space,
    searched_front,
    within,
)
from records import add_hardware, run_told, write_result
from resumable import Row, Rows

from supernet.cli.output import print_table, progress_bar
from supernet.data import Dataset, load_dataset
from supernet.evaluate import Evaluator
from supernet.latency import LatencyTable, Protocol, measure, this_machine
from supernet.memory import keep_freed_memory
from supernet.search import latency_name
from supernet.space import Space
from supernet.train import Recipe, at_precision
from supernet.workflow.train import seeded_supernet

LATENCIES = ("fast", "middle", "slow")


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """One of the two spaces."""

    name: str
    space: Space
    table: LatencyTable
    costs: Costs
    recipe: Recipe

    def job(self, given: argparse.Namespace, dataset: Dataset, seed: int) -> Job:
        """Its supernet of a seed."""
        return Job(
            name=f"{self.name}-{seed}",
            space=self.space,
            recipe=self.recipe,
            data=given.data,
            dataset=dataset,
            seed=seed,
            seconds=60.0 * given.minutes,
            tuned_share=0.0,
            tuned_lr=0.0,
            pairs=given.pairs,
            candidates=given.candidates,
            rounds=given.rounds,
            device=given.device,
        )


def side_of(name: str, given: argparse.Namespace, dataset: Dataset, rows: Rows) -> Side:
    """A space with its table and its costs, measured where they are not known."""
    space = our_space(name, given.sizes, "scratch", dataset)
    with progress_bar() as progress:
        table = this_machine(space, progress=progress)
    recipe = at_precision(our_recipe("scratch"), given.device)

    def costs() -> Row:
        found, _ = costs_of(space, recipe, dataset, {}, given.rounds, given.device)
        return {**found.row(), "table_error_percent": table.held_out.mape}

    found = Costs.read(recipe, rows.get(f"costs of {name}", costs))
    tried = {
        share: rows.get(
            f"{name} at {share} of the rate",
            partial(tried_rate, space, share, given, dataset, found),
        )["holdout_top1"]
        for share in given.rates
    }
    best = at_rate(our_recipe("scratch"), max(tried, key=lambda share: float(tried[share])))
    return Side(name=name, space=space, table=table, costs=found, recipe=best)


def at_rate(recipe: Recipe, share: float) -> Recipe:
    """The recipe at a share of its learning rates."""
    phases = [replace(one, lr=one.lr * share, lr_end=one.lr_end * share) for one in recipe.phases]
    return replace(recipe, phases=tuple(phases))


def tried_rate(
    space: Space, share: float, given: argparse.Namespace, dataset: Dataset, costs: Costs
) -> Row:
    """A short training of the largest subnet, by the held-out images."""
    supernet = seeded_supernet(space, given.seeds[0]).to(given.device)
    recipe = at_rate(our_recipe("scratch"), share)
    recipe = replace(recipe, phases=(replace(recipe.phases[0], lr_end=0.0),))
    seconds = 60.0 * given.minutes * given.probe
    images = len(dataset.train)
    recipe = fitted(
        supernet, recipe, costs.speeds[recipe.batch_size], images, seconds, given.device
    )
    with progress_bar() as progress:
        training_turn(supernet, dataset, recipe, given.device)(progress)
    score = Evaluator(supernet, dataset, device=given.device).subnet_score(
        supernet.largest, "holdout"
    )
    return {"epochs": recipe.epochs, "holdout_top1": score.top1}


def found_in(side: Side, job: Job, rows: Rows) -> Any:
    """The searched front of a side, trained and searched where it was not."""
    rows.get(f"{job.name} trained", lambda: job.trained(rows, side.costs))
    search = rows.get(f"{job.name} searched", lambda: job.searched(rows, side.costs, None))
    return searched_front(job, rows, search)


def limits_of(fronts: dict[str, Any], sides: list[Side]) -> list[float]:
    """Three predicted latencies that both fronts reach, milliseconds."""
    ends = []
    for side in sides:
        result = fronts[side.name]
        ms = result.columns[latency_name(side.table.target)][result.front]
        ends.append((float(ms.min()), float(ms.max())))
    low, high = max(end[0] for end in ends), min(end[1] for end in ends)
    if low * 1.05 > high:
        raise SystemExit(f"no latency is reached by both: {ends}")
    found: list[float] = np.geomspace(low * 1.05, high, len(LATENCIES)).tolist()
    return found


def compared(seed: int, sides: list[Side], given: argparse.Namespace, rows: Rows) -> None:
    """All rows of a seed: both trained, searched, and measured in turn."""
    with progress_bar() as progress:
        size = given.sizes[-1]
        dataset = load_dataset(given.data, resolution=size, seed=seed, progress=progress)
    first, second = sides
    jobs = {side.name: side.job(given, dataset, seed) for side in sides}
    fronts = {side.name: found_in(side, jobs[side.name], rows) for side in sides}
    limits = dict(zip(LATENCIES, limits_of(fronts, sides)))
    picked = {
        name: fronts[second.name].subnet(
            fronts[second.name].pick(f"{latency_name(second.table.target)}<={ms:.6f}")
        )
        for name, ms in limits.items()
    }
    theirs = jobs[second.name].chosen(rows, LATENCIES, lambda: picked)
    files = {name: jobs[second.name].file(rows, subnet) for name, subnet in theirs.items()}
    job = jobs[first.name]
    choose = partial(within, fronts[first.name], first.table, limits, files)
    ours = job.chosen(rows, LATENCIES, choose)
    both = {f"{second.name} {name}": path for name, path in files.items()}
    both |= {f"{first.name} {name}": job.file(rows, subnet) for name, subnet in ours.items()}

    def milliseconds() -> Row:
        timings = measure([loadable(path) for path in both.values()], Protocol(rounds=20))
        return {name: timing.ms for name, timing in zip(both, timings)}

    rows.get(f"measured seed {seed}", milliseconds)


def table_of(rows: Rows, names: list[str], seeds: list[int]) -> list[dict[str, Any]]:
    """A row a seed and latency: accuracies of both, their difference, milliseconds."""
    found = []
    for seed in seeds:
        ms = rows.rows.get(f"measured seed {seed}", {})
        for latency in LATENCIES:
            tops = [
                row["test_top1"]
                for name in names
                if (row := rows.rows.get(f"{name}-{seed} as found {latency}"))
            ]
            if ms and len(tops) == len(names):
                found.append(
                    {
                        "seed": seed,
                        "latency": latency,
                        "top1": tops,
                        "better_by": round(tops[0] - tops[1], 2),
                        "ms": [round(ms[f"{name} {latency}"], 4) for name in names],
                    }
                )
    return found


def main() -> None:
    """Train, search, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="folder with train/ and val/")
    parser.add_argument(
        "--spaces", nargs=2, default=["mobilenet_v4_small", "mobilenet_v3_large"], metavar="SPACE"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of each supernet")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96])
    parser.add_argument("--pairs", type=int, default=30, help="evaluations of a search")
    parser.add_argument("--candidates", type=int, default=10, help="more of them, the promising")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 0.3, 0.1], help="shares")
    parser.add_argument("--probe", type=float, default=0.15, help="share of the time for a try")
    parser.add_argument("--rounds", type=int, default=4, help="in which steps are timed")
    parser.add_argument("--device", default="cpu", help="that trains; latencies are of this CPU")
    parser.add_argument("--work", type=Path, default=Path("runs") / "two_spaces")
    parser.add_argument("--out", default="two_spaces", help="name of the result")
    add_hardware(parser)
    given = parser.parse_args()
    given.sizes = sorted(given.sizes)
    left_out = ("seeds", "work", "out", "hardware")
    settings = {key: value for key, value in vars(given).items() if key not in left_out}
    rows = Rows(given.work, settings | {"data": Path(given.data).name})
    keep_freed_memory()
    with progress_bar() as progress:
        dataset = load_dataset(given.data, resolution=given.sizes[-1], seed=0, progress=progress)
    sides = [side_of(name, given, dataset, rows) for name in given.spaces]
    for seed in given.seeds:
        compared(seed, sides, given, rows)
        found = table_of(rows, given.spaces, given.seeds)
        body = {"settings": rows.settings, "compared": found, "rows": rows.rows}
        packages = ("torch", "onnxruntime", "numpy")
        print_table(
            "Top-1 on the test images, percent",
            [
                [
                    f"seed {one['seed']}, {one['latency']}",
                    *(f"{top1:.2f}" for top1 in one["top1"]),
                    f"{one['better_by']:+.2f}",
                    *(f"{ms:.3f}" for ms in one["ms"]),
                ]
                for one in found
            ],
            ["", *given.spaces, "better by", "ms", "ms"],
        )
        print(write_result(given.out, given.hardware, packages, body), flush=True)


if __name__ == "__main__":
    run_told(main)
