r"""Is what we find better than the network that one would have taken anyway?

    python benchmarks/outcome.py --data FOLDER --minutes 5 --seeds 0 1 2
    python benchmarks/outcome.py --data FOLDER --start published \\
        --networks efficientnet_lite0@64 efficientnet_lite0@80 efficientnet_lite0@96 \\
        efficientnet_lite0@112 efficientnet_lite0@128

FOLDER has train/ and val/ with a folder of pictures for each class. Networks of others are trained
for `--minutes` each, by the better of two recipes on held-out images (trainings of half the time
tell; where they are close, both train in full and one counts). Our inputs are those that `supernet
plan` chooses for minutes, or `--sizes`. One supernet, its search and the finetuning of what it
found get `--share` of all that time together: *the front*. Another one gets the time of one
network, for the middle latency: *single*. From scratch, a network of our space that is chosen by
its size, without a supernet, gets that time too: *alone*, which tells what the space gives from
what the supernet gives.

Equal time: seconds of a step are measured in turn at the start, the fastest round counts, and the
minutes become steps. Equal latency: what is found may take as long as the network of others,
measured in turn in ONNX Runtime on one thread; where it takes more than 1 % longer, a faster one is
taken. Accuracies are of all test images, by the ONNX files. The latency table of this machine,
which is measured once for all supernets of a space, is timed apart and not counted.

Every row is kept at once in `--work`: the same command goes on, and may name more seeds. Writes
`benchmarks/results/<--out>_<hardware>_<date>.json`.
"""

import argparse
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from equal_time import STEPS
from outcome_alone import Alone
from outcome_costs import Costs, costs_of
from outcome_nets import (
    AS_OURS,
    PUBLISHED,
    Rival,
    rival_turn,
    write_file,
)
from outcome_options import parsed
from outcome_ours import (
    Job,
    loadable,
    our_recipe,
    our_space,
    searched_front,
    within,
)
from outcome_report import body_of, print_tables
from outcome_theirs import Theirs
from records import run_told, write_result
from resumable import Row, Rows

from supernet.cli.output import progress_bar
from supernet.data import Dataset, load_dataset
from supernet.latency import LatencyTable, Protocol, measure, measure_drift_corrected, this_machine
from supernet.memory import keep_freed_memory
from supernet.space import Space, Subnet
from supernet.train import Recipe, at_precision
from supernet.workflow.planning.choice import halves
from supernet.workflow.start import normalisation_at, normalised


@dataclass(frozen=True, eq=False, kw_only=True)
class Bench:
    """What was asked for, and the rows that there are."""

    given: argparse.Namespace
    rows: Rows
    rivals: tuple[Rival, ...]

    @property
    def seconds(self) -> float:
        """For the training of one network."""
        return 60.0 * float(self.given.minutes)

    @cache  # noqa: B019  # as long as the program
    def dataset(self, seed: int) -> Dataset:
        """The images, the same ones held out for all."""
        size = max(self.given.sizes[-1], *(rival.size for rival in self.rivals))
        with progress_bar() as progress:
            found = load_dataset(self.given.data, resolution=size, seed=seed, progress=progress)
        if found.in_channels != 3:
            raise SystemExit(f"{self.given.data}: networks of others need images in colour")
        if self.given.start == "published":
            found = normalised(found, normalisation_at(PUBLISHED))
        return found

    @property
    def theirs(self) -> Theirs:
        """The networks of others."""
        return Theirs(given=self.given, rows=self.rows, rivals=self.rivals, dataset=self.dataset)

    @property
    def space(self) -> Space:
        """That is trained."""
        return our_space(
            self.given.space, self.given.sizes, self.given.start, self.dataset(self.given.seeds[0])
        )

    @property
    def table(self) -> LatencyTable:
        """Of this machine, measured where it is not known yet."""
        with progress_bar() as progress:
            return this_machine(self.space, progress=progress)

    # ------------------------------------------------------------ before the trainings

    @property
    def our_costs(self) -> Costs:
        """Of our steps and evaluations, in the seconds of those of others."""
        recipe = at_precision(our_recipe(self.given.start), self.given.device)
        return Costs.read(recipe, self.rows.get("our costs", lambda: self.timed(recipe)))

    def timed(self, recipe: Recipe) -> Row:
        """Our costs, in turn with the middle network of others, whose steps were timed before."""
        given, dataset = self.given, self.dataset(self.given.seeds[0])
        rival, (name, how) = Rival.of(self.middle), next(iter(self.theirs.recipes().items()))
        network = rival.built(dataset.classes, given.start, 0)
        turn = rival_turn(network, dataset, rival.size, how, STEPS, given.device)
        sizes = halves(recipe.batch_size)
        ours, theirs = costs_of(
            self.space, recipe, dataset, {"theirs": turn}, given.rounds, given.device, sizes
        )
        before = self.theirs.step_s(rival, name)
        return ours.row(before / float(np.mean(theirs["theirs"])))

    def latencies(self) -> Row:
        """Milliseconds of the networks of others, as the table of this machine has them."""
        table, classes = self.table, self.dataset(self.given.seeds[0]).classes
        files = [
            write_file(rival.built(classes, "scratch", 0).eval(), path, rival.size)
            for rival in self.rivals
            for path in [self.rows.folder / "untrained" / f"{rival}.onnx"]
        ]
        models = [loadable(file) for file in files]
        found = measure_drift_corrected(table, self.space, models, Protocol(rounds=20))
        return dict(zip(map(str, self.rivals), found.tolist()))

    @property
    def limits(self) -> dict[str, float]:
        """Predicted milliseconds that ours may take, from the fastest network of others up."""
        self.rows.get("table", lambda: {"error_percent": self.table.held_out.mape})
        row = self.rows.get("latencies", self.latencies)
        return dict(sorted(((str(r), row[str(r)]) for r in self.rivals), key=lambda item: item[1]))

    @property
    def middle(self) -> str:
        """The network of others for whose latency there is a single one of ours."""
        return list(self.limits)[len(self.limits) // 2]

    # ------------------------------------------------------------ trainings

    def job(self, kind: str, seed: int) -> Job:
        """One of our two supernets of a seed."""
        given, front = self.given, kind == "front"
        whole = given.share * len(self.rivals) if front else 1.0
        return Job(
            name=f"{kind}-{seed}",
            space=self.space,
            recipe=our_recipe(given.start),
            data=given.data,
            dataset=self.dataset(seed),
            seed=seed,
            seconds=whole * self.seconds,
            tuned_share=given.tuned if front else given.single_tuned,
            tuned_lr=given.tuned_lr,
            pairs=given.pairs,
            candidates=given.candidates,
            rounds=given.rounds,
            device=given.device,
        )

    def ours(self, kind: str, seed: int) -> None:
        """One supernet: trained, searched, its finds as they are and finetuned."""
        job, rows, limits = self.job(kind, seed), self.rows, self.limits
        if kind == "single":
            limits = {self.middle: limits[self.middle]}
        costs = self.our_costs
        rows.get(f"{job.name} trained", lambda: job.trained(rows, costs))
        limit = next(iter(limits.values())) if kind == "single" else None
        search = rows.get(f"{job.name} searched", lambda: job.searched(rows, costs, limit))
        files = {str(r): self.theirs.file(r, seed) for r in self.rivals}
        result = searched_front(job, rows, search)
        subnets = job.chosen(rows, limits, lambda: within(result, self.table, limits, files))
        if job.tuned_share:
            self._tune(job, subnets)

    def _tune(self, job: Job, subnets: dict[str, Subnet]) -> None:
        rows, costs = self.rows, self.our_costs
        step_s = rows.get(f"{job.name} tuned steps", lambda: job.tuned_steps(rows, subnets))
        each = job.seconds * job.tuned_share / max(1, len(subnets))
        known: dict[str, Row] = {}  # two latencies may have one subnet
        for name, subnet in subnets.items():

            def make(name: str = name, subnet: Subnet = subnet) -> Row:
                if subnet.key in known:
                    return known[subnet.key] | {"counted_s": 0.0}
                return job.tuned(rows, costs, subnet, step_s[name], each)

            known.setdefault(subnet.key, rows.get(f"{job.name} tuned {name}", make))

    def measured(self, seed: int) -> Row:
        """Milliseconds of all files of a seed, in turn; ours with the supernet's weights."""
        files = {str(r): self.theirs.file(r, seed) for r in self.rivals}
        for kind in ("front", "single"):
            job = self.job(kind, seed)
            for name, subnet in job.known(self.rows).items():
                files[f"{kind} {name}"] = job.file(self.rows, subnet)
        timings = measure([loadable(path) for path in files.values()], Protocol(rounds=20))
        return {name: timing.ms for name, timing in zip(files, timings)}

    def seed(self, seed: int) -> None:
        """All rows of a seed."""
        for rival in self.rivals:
            self.rows.get(f"{rival} seed {seed}", partial(self.theirs.trained, rival, seed))
        for kind in ("front", "single"):
            self.ours(kind, seed)
        self.rows.get(f"measured seed {seed}", lambda: self.measured(seed))
        if self.given.start == "scratch":
            self.rows.get(f"alone-{seed} trained", lambda: self.alone(seed))

    def alone(self, seed: int) -> Row:
        """A network of our space for the middle latency, without a supernet."""
        middle = self.middle
        job = Alone(
            space=self.space,
            table=self.table,
            rows=self.rows,
            name=middle,
            limit_ms=self.limits[middle],
            recipes={n: r for n, r in self.theirs.recipes().items() if n.startswith(AS_OURS)},
            seconds=self.seconds,
            rounds=self.given.rounds,
            device=self.given.device,
        )
        return job.trained(self.dataset(seed), seed, self.theirs.file(Rival.of(middle), seed))


def main() -> None:
    """Train, search, measure, print, write."""
    given = parsed(__doc__.splitlines()[0])
    left_out = ("seeds", "work", "out", "hardware")
    settings = {key: value for key, value in vars(given).items() if key not in left_out}
    settings["data"] = Path(given.data).name
    rivals = tuple(map(Rival.of, given.networks))
    rows = Rows(given.work, settings)
    bench = Bench(given=given, rows=rows, rivals=rivals)
    keep_freed_memory()
    for seed in given.seeds:
        bench.seed(seed)
        body = body_of(rows, list(bench.limits), 60 * given.minutes)
        packages = ("torch", "torchvision", "timm", "onnxruntime", "numpy")
        path = write_result(given.out, given.hardware, packages, body)
        print_tables(body)
        print(path, flush=True)


if __name__ == "__main__":
    run_told(main)
