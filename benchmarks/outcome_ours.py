"""One supernet within a time: trained, searched, its finds finetuned and written as files.

Times are those of a quiet machine: steps and evaluations are counted, and what one takes was
measured in turn with the networks of others (`equal_time`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from equal_time import (
    STEPS,
    fastest,
    fitted,
    recipe_seconds,
    training_turn,
)
from outcome_costs import Costs
from outcome_nets import PUBLISHED, Start, file_top1, write_file
from resumable import Rows
from supernet.export.formats.onnx import open_onnx

from supernet import Supernet, load_space
from supernet.cli.output import progress_bar
from supernet.data import Dataset
from supernet.errors import ConfigError
from supernet.evaluate import Evaluator
from supernet.files import fill
from supernet.latency import LatencyTable, Loadable, Protocol, measure
from supernet.models import extract, load_pretrained
from supernet.runs import Run
from supernet.search import SearchResult, latency_name, load_result
from supernet.space import Space, Subnet, SubnetFile, decode, encode, operators
from supernet.train import Recipe, load_recipe
from supernet.train.batches import steps_per_epoch
from supernet.workflow.finetune import FinetuneRequest, finetune_subnet
from supernet.workflow.planning.choice import in_steps_enough, of_its_length
from supernet.workflow.quality import standalone_space
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run
from supernet.workflow.train import resume_training, train_supernet

__all__ = ["Job", "loadable", "our_recipe", "our_space", "searched_front", "within"]

TOLERANCE = 1.01
"""Of a latency limit, measured."""
SLACK = 1.03
"""Of a predicted limit: a prediction that is too slow leaves out what measures as fast enough."""
_TRIES = 4


def our_space(name: str, sizes: Sequence[int], start: Start, dataset: Dataset) -> Space:
    """The space that is trained."""
    space = load_space(name or (PUBLISHED if start == "published" else "small_photos"))
    return replace(
        space,
        resolutions=tuple(sizes),
        num_classes=len(dataset.classes),
        in_channels=dataset.in_channels,
    )


def our_recipe(start: Start) -> Recipe:
    """The shipped recipe that `supernet plan` takes too."""
    if start == "published":
        return replace(load_recipe("from_pretrained"), init=PUBLISHED)
    return load_recipe("from_scratch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One supernet and what it is for."""

    name: str
    """Of its rows and folder."""
    space: Space
    recipe: Recipe
    data: str
    dataset: Dataset
    seed: int
    seconds: float
    """For training, search and finetuning together."""
    tuned_share: float
    """Of it, for finetuning."""
    tuned_lr: float
    pairs: int
    candidates: int
    rounds: int
    """Of timing steps."""
    device: str
    """Where it is trained and evaluated."""

    def run(self, rows: Rows) -> Run:
        """Its run folder, which exists once it was trained."""
        return Run(rows.folder / self.name / "run")

    @property
    def evaluations(self) -> int:
        """Of the search, at most: pairs, corners, and those that looked best."""
        return self.pairs + self.candidates + 4

    def trained(self, rows: Rows, costs: Costs) -> dict[str, Any]:
        """Train the supernet for what search and finetuning leave of the time."""
        left = self.seconds * (1 - self.tuned_share)
        left -= self.evaluations * costs.evaluation_s + costs.start_s
        if left <= 0:
            raise SystemExit(f"{self.name}: {self.seconds:.0f} s are less than its search takes")
        supernet = Supernet(self.space)
        count = len(self.dataset.train)
        recipe = self._fitted(supernet, costs, left)
        run = self.run(rows)
        with progress_bar() as progress:
            if (run.folder / "config.yaml").is_file():
                resume_training(run, device=self.device, progress=progress, each_epoch=_unmeasured)
            else:
                train_supernet(
                    self.space,
                    recipe,
                    self.data,
                    folder=run.folder,
                    seed=self.seed,
                    device=self.device,
                    progress=progress,
                    each_epoch=_unmeasured,
                )
        return {
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "steps": round(recipe.epochs * steps_per_epoch(count, recipe.batch_size)),
            "counted_s": costs.start_s
            + recipe_seconds(supernet, recipe, costs.speeds[recipe.batch_size], count),
        }

    def _fitted(self, supernet: Supernet, costs: Costs, seconds: float) -> Recipe:
        """The recipe in a time; as `supernet plan` has it, by smaller batches for steps enough."""
        count = len(self.dataset.train)

        def fit(recipe: Recipe) -> Recipe:
            speeds = costs.speeds[recipe.batch_size]
            return fitted(supernet, recipe, speeds, count, seconds, self.device)

        return of_its_length(in_steps_enough(self.recipe, list(costs.speeds), fit, count))

    def searched(self, rows: Rows, costs: Costs, limit_ms: float | None) -> dict[str, Any]:
        """Search the front, or for one limit."""
        request = SearchRequest(
            targets=("this_machine",),
            limits={} if limit_ms is None else {"latency": limit_ms * SLACK},
            pairs=self.pairs,
            rounds=1,
            candidates=self.candidates,
            confirm=0,  # whoever is taken is timed beside its rival
            seed=self.seed,
            device=self.device,
        )
        with progress_bar() as progress:
            outcome = search_run(self.run(rows), request, progress=progress)
        counted = self.evaluations * costs.evaluation_s + outcome.result.seconds
        kendall = getattr(outcome.predictor, "validation", None)
        return {
            "folder": outcome.folder.name,
            "evaluations": self.evaluations,
            "kendall_of_predictor": kendall.kendall if kendall else None,
            "counted_s": counted,
        }

    def file(self, rows: Rows, subnet: Subnet) -> Path:
        """Of a subnet with the supernet's weights."""
        return rows.folder / self.name / "files" / f"{subnet.key}.onnx"

    def as_found(self, rows: Rows, subnet: Subnet) -> dict[str, Any]:
        """A subnet with the supernet's weights, by its file."""
        network = self.run(rows).evaluator().network(subnet)
        path = write_file(network, self.file(rows, subnet), subnet.resolution)
        return {"subnet": str(subnet), "test_top1": file_top1(path, self.dataset)}

    def chosen(
        self, rows: Rows, names: Iterable[str], choose: Callable[[], Mapping[str, Subnet]]
    ) -> dict[str, Subnet]:
        """Subnets by name, chosen once; each as a file with the supernet's weights."""

        def made() -> dict[str, Any]:
            return {name: encode(self.space, [one])[0].tolist() for name, one in choose().items()}

        rows.get(f"{self.name} found", made)
        found = self.known(rows)
        ordered = {name: found[name] for name in names if name in found}
        for name, subnet in ordered.items():
            rows.get(f"{self.name} as found {name}", partial(self.as_found, rows, subnet))
        return ordered

    def known(self, rows: Rows) -> dict[str, Subnet]:
        """Those that were chosen before."""
        found = rows.rows[f"{self.name} found"]
        return {
            name: decode(self.space, np.array([genes], dtype=np.int8))[0]
            for name, genes in found.items()
            if name != "wall_s"
        }

    def tuned(
        self, rows: Rows, costs: Costs, subnet: Subnet, step_s: Mapping[str, float], seconds: float
    ) -> dict[str, Any]:
        """Finetune a subnet within a time, its two evaluations included; its file."""
        run = self.run(rows)
        left = seconds - 2 * costs.evaluation_s
        request = self._tuning(run, left, step_s)
        file = self.file(rows, subnet).with_suffix(".json")
        made = SubnetFile.of(self.space, subnet, checkpoint=run.checkpoint(file.parent))
        made.save(file)
        with progress_bar() as progress:
            outcome = finetune_subnet(file, run, request, device=self.device, progress=progress)
        own = Run(outcome.file.parent)
        only = SubnetFile.load(outcome.file).subnet
        path = write_file(
            own.evaluator().network(only), file.with_suffix(".tuned.onnx"), only.resolution
        )
        phase = outcome.phase
        steps = round(request.epochs * self._per_epoch(run))
        return {
            "steps": steps,
            "lr": phase.lr,
            "distill": phase.distill,
            "holdout_before": outcome.before,
            "holdout_after": outcome.after,
            "test_top1": file_top1(path, self.dataset),
            "counted_s": steps * step_s[_how(phase.distill)] + 2 * costs.evaluation_s,
        }

    def tuned_steps(self, rows: Rows, subnets: Mapping[str, Subnet]) -> dict[str, dict[str, float]]:
        """Seconds of a step of finetuning each subnet, with a teacher and without."""
        run = self.run(rows)
        trained, supernet = self._trained_by(run), run.supernet()
        turns = {}
        for name, subnet in subnets.items():
            for distill in (0.0, 0.5):
                request = FinetuneRequest(epochs=STEPS / self._per_epoch(run), distill=distill)
                alone = Supernet(standalone_space(self.space, subnet, dropout=0.0))
                load_pretrained(alone, extract(supernet, subnet))
                recipe = request.recipe(trained, run.folder)
                turns[f"{name} {distill}"] = training_turn(alone, self.dataset, recipe, self.device)
        found = fastest(turns, min(2, self.rounds))  # each opens the teacher anew
        return {
            name: {_how(d): float(np.mean(found[f"{name} {d}"])) for d in (0.0, 0.5)}
            for name in subnets
        }

    def _tuning(self, run: Run, seconds: float, step_s: Mapping[str, float]) -> FinetuneRequest:
        """As long as fits into a time; whether there is a teacher depends on the length."""

        def fitting(distill: float) -> FinetuneRequest:
            steps = max(1, int(seconds / step_s[_how(distill)]))
            return FinetuneRequest(epochs=steps / self._per_epoch(run), lr=self.tuned_lr)

        (phase,) = fitting(0.0).recipe(self._trained_by(run), run.folder).phases
        return fitting(phase.distill)

    def _trained_by(self, run: Run) -> Recipe:
        return fill(Recipe, run.config().recipe, "recipe")

    def _per_epoch(self, run: Run) -> int:
        return steps_per_epoch(len(self.dataset.train), self._trained_by(run).batch_size)


def _how(distill: float) -> str:
    """Name of a way to finetune."""
    return "taught" if distill else "by the labels"


def _unmeasured(evaluator: Evaluator, record: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # as EachEpoch has it
    """No accuracies on the way: they are no part of the training."""
    return {}


# ---------------------------------------------------------------- latencies


def loadable(path: Path) -> Loadable:
    """A file as what is timed."""
    return Loadable(load=lambda: open_onnx(path).runner(), size=path.stat().st_size)


def searched_front(job: Job, rows: Rows, search: Mapping[str, Any]) -> SearchResult:
    """The result of a search that was made before."""
    return load_result(job.run(rows).searches / str(search["folder"])).result


def within(
    result: SearchResult,
    table: LatencyTable,
    limits: Mapping[str, float],
    files: Mapping[str, Path],
) -> dict[str, Subnet]:
    """For each file the best subnet that is measured as no slower; none where there is none.

    Args:
        result: of the search.
        table: by which it predicts.
        limits: predicted milliseconds to begin with, by name.
        files: that they are compared with, by the same names.
    """
    found: dict[str, Subnet] = {}
    left = {name: ms * SLACK for name, ms in limits.items()}
    for _ in range(_TRIES):
        asked = {name: _picked(result, table, ms) for name, ms in left.items()}
        some = {name: subnet for name, subnet in asked.items() if subnet}
        found = {name: subnet for name, subnet in found.items() if name not in asked} | some
        if not some:
            break
        models: list[Any] = [loadable(files[name]) for name in some]
        models += [operators(result.problem.space, subnet) for subnet in some.values()]
        ms = [timing.ms for timing in measure(models, Protocol(rounds=20))]
        ratios = dict(zip(some, np.divide(ms[len(some) :], ms[: len(some)]).tolist()))
        left = {
            name: left[name] * (2 - TOLERANCE) / ratio
            for name, ratio in ratios.items()
            if ratio > TOLERANCE
        }
        if not left:
            break
    return found


def _picked(result: SearchResult, table: LatencyTable, ms: float) -> Subnet | None:
    try:
        return result.subnet(result.pick(f"{latency_name(table.target)}<={ms:.6f}"))
    except ConfigError:  # none is so fast
        return None
