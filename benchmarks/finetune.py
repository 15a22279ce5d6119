"""A found subnet, finetuned, and the same network trained alone for as long as the supernet was.

    python benchmarks/finetune.py RUN SUBNET --epochs 3 --seeds 3

For each seed, in a copy of the run: the subnet with the supernet's weights, finetuned
(`supernet finetune`), and trained alone by the run's recipe in one phase, for as many epochs as the
supernet (*equal epochs*), and for as many as take the same time (*equal time*; how many, short
trainings of both in turn tell). Accuracies of the test images.
Writes `benchmarks/results/finetune_<hardware>_<date>.json`.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from records import add_hardware, run_told, summary, write_result

from supernet.files import fill
from supernet.runs import Run
from supernet.space import Space, Subnet, SubnetFile, decode, largest
from supernet.train import Recipe, standalone_recipe
from supernet.workflow.finetune import FinetuneRequest, finetune_subnet
from supernet.workflow.quality import standalone_space
from supernet.workflow.train import train_supernet

SHORT = 0.2  # epochs of the trainings whose times are compared


def scaled(recipe: Recipe, epochs: float) -> Recipe:
    """The recipe in so many epochs."""
    times = epochs / recipe.epochs
    phases = [
        replace(p, epochs=p.epochs * times, warmup_epochs=p.warmup_epochs * times)
        for p in recipe.phases
    ]
    return replace(recipe, phases=tuple(phases))


def with_seed(run: Run, folder: Path, seed: int) -> Run:
    """A copy of a run whose finetuning draws other numbers."""
    shutil.copytree(run.folder, folder)
    shutil.rmtree(folder / "finetune", ignore_errors=True)
    config = folder / "config.yaml"
    before = f"seed: {run.config().seed}"
    config.write_text(config.read_text().replace(f"\n{before}\n", f"\nseed: {seed}\n"))
    assert Run(folder).config().seed == seed
    return Run(folder)


def top1(run: Run, subnet: Subnet) -> float:
    """Percent of the test images; held-out ones differ between seeds."""
    return run.evaluator().subnet_top1(subnet, "test")


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def only(space: Space) -> Subnet:
    """The subnet of a space that has one."""
    return decode(space, largest(space))[0]


def measured(run: Run, path: Path, epochs: float, seed: int, place: Path) -> dict[str, Any]:
    """All figures of one seed."""
    subnet = SubnetFile.load(path).subnet
    config = run.config()
    recipe = fill(Recipe, config.recipe, "recipe")
    own = standalone_space(run.space(), subnet, dropout=0.0)
    lone = standalone_recipe(recipe, largest=False)

    def trained(space: Space, how: Recipe, name: str) -> Run:
        return train_supernet(space, how, config.data, folder=place / name, seed=seed)

    times = [
        (
            seconds(lambda: trained(run.space(), scaled(recipe, SHORT), f"short {number}")),  # noqa: B023  # called at once
            seconds(lambda: trained(own, scaled(lone, SHORT), f"short alone {number}")),  # noqa: B023  # called at once
        )
        for number in range(3)
    ]
    ratio = sorted(ours / theirs for ours, theirs in times)[1]
    copy = with_seed(run, place / "copy", seed)
    request = FinetuneRequest(epochs=epochs)
    finetuning = seconds(lambda: finetune_subnet(path, copy, request))
    tuned = Run(copy.finetuned / SubnetFile.load(path).subnet.key)
    found: dict[str, Any] = {
        "seed": seed,
        "supernet's time / alone, an epoch": ratio,
        "finetuning, seconds": finetuning,
        "from the supernet": top1(run, subnet),
        "finetuned": top1(tuned, only(tuned.space())),
    }
    for name, count in {"equal epochs": recipe.epochs, "equal time": recipe.epochs * ratio}.items():
        alone = trained(own, scaled(lone, count), name)
        found[f"alone, {name}"] = top1(alone, only(alone.space()))
        found[f"alone, {name}, epochs"] = count
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("subnet", type=Path)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, default=3)
    add_hardware(parser)
    given = parser.parse_args()
    rows = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as place:
            rows.append(measured(Run(given.run), given.subnet, given.epochs, seed, Path(place)))
        print(json.dumps(rows[-1]), flush=True)
        gains = [row["finetuned"] - row["from the supernet"] for row in rows]
        over = [row["finetuned"] - row["alone, equal time"] for row in rows]
        body = {
            "finetuning epochs": given.epochs,
            "finetuned - from the supernet": summary(gains),
            "finetuned - alone, equal time": summary(over),
            "seeds": rows,
        }
        path = write_result("finetune", given.hardware, ("torch",), body)
    print(path)


if __name__ == "__main__":
    run_told(main)
