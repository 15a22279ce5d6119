r"""How a found subnet is finetuned best, by how long that is beside the supernet's training.

    python benchmarks/finetune_ways.py --epochs 2 6 20 --seeds 0 1 2

A supernet of the demo's space is trained from random weights on the embedded images by the recipe
`from_scratch`. Its subnet of middle size is finetuned for a share of the supernet's epochs: gently
with the largest subnet as the teacher, and by the labels alone from half of the highest rate, in
the same multiply-adds, so for more epochs (a teacher's step has its forward pass more). Told are
the accuracies on the 2,000 test images.

Writes `benchmarks/results/finetune_ways_<hardware>_<date>.json` after each supernet.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, write_result

from supernet.cli.output import progress_bar
from supernet.data import EMBEDDED
from supernet.memory import keep_freed_memory
from supernet.runs import Run
from supernet.space import Space, Subnet, SubnetFile, decode, largest, load_space, macs_of, sample
from supernet.train import Recipe, load_recipe, scaled
from supernet.workflow.finetune import FinetuneRequest, finetune_subnet
from supernet.workflow.train import train_supernet

SPACE = "demo"
SHARES = (0.05, 0.1, 0.25, 1.0)
"""Of the supernet's epochs."""
_DRAWN = 101
WAYS = {"taught": (0.2, 0.5), "by the labels": (0.5, 0.0)}
"""Share of the recipe's highest learning rate, and weight of the teacher."""


def middle(space: Space) -> tuple[Subnet, float]:
    """The subnet with the median of multiply-adds, and a taught step of it beside a plain one."""
    genes = sample(space, _DRAWN, np.random.default_rng(0))
    macs = macs_of(space, genes)
    chosen = int(np.argsort(macs)[_DRAWN // 2])
    teacher = float(macs_of(space, largest(space))[0])
    subnet = decode(space, genes[chosen : chosen + 1])[0]
    return subnet, 1 + teacher / (3 * float(macs[chosen]))


def ways(run: Run, file: Path, recipe: Recipe, longer: float) -> dict[str, Any]:
    """Accuracies of one subnet after each way and length."""
    highest = max(phase.lr for phase in recipe.phases)
    found: dict[str, Any] = {}
    for share in SHARES:
        for way, (rate, distill) in WAYS.items():
            epochs = share * recipe.epochs * (1 if distill else longer)
            request = FinetuneRequest(epochs=epochs, lr=rate * highest, distill=distill)
            with progress_bar() as progress:
                outcome = finetune_subnet(file, run, request, fresh=True, progress=progress)
            own = Run(outcome.file.parent)
            subnet = SubnetFile.load(outcome.file).subnet
            found[f"{share} {way}"] = own.evaluator().subnet_top1(subnet, "test")
    return found


def supernet(epochs: float, seed: int) -> dict[str, Any]:
    """Train one, and finetune its middle subnet in all ways."""
    with tempfile.TemporaryDirectory() as name, progress_bar() as progress:
        folder = Path(name)
        recipe = scaled(load_recipe("from_scratch"), epochs)
        run = train_supernet(
            load_space(SPACE),
            recipe,
            EMBEDDED,
            folder=folder / "run",
            seed=seed,
            progress=progress,
        )
        space = run.space()
        subnet, longer = middle(space)
        SubnetFile.of(space, subnet, checkpoint=run.checkpoint(folder)).save(folder / "subnet.json")
        before = run.evaluator().subnet_top1(subnet, "test")
        after = ways(run, folder / "subnet.json", recipe, longer)
    return {"epochs": epochs, "seed": seed, "before": before, "work": longer, **after}


def main() -> None:
    """Train, finetune, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--epochs", type=float, nargs="+", default=[2, 6, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add_hardware(parser)
    options = parser.parse_args()
    keep_freed_memory()
    rows = []
    for seed in options.seeds:
        for epochs in options.epochs:
            rows.append(supernet(epochs, seed))
            print(rows[-1], flush=True)
            body = {"space": SPACE, "images": "embedded", "rows": rows}
            print(
                write_result("finetune_ways", options.hardware, ("torch", "numpy"), body),
                flush=True,
            )


if __name__ == "__main__":
    main()
