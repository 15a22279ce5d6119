"""Started by `test_processes`: trains in double precision, alone or beside others.

    python in_processes.py SPACE RECIPE WEIGHTS [PARTS]

Two processes and one differ by rounding alone, which training blows up; in double precision
there is room to tell that from an error.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from supernet.data import load_dataset
from supernet.evaluate import Evaluator
from supernet.space import load_space
from supernet.train import Trainer, joined_processes, load_recipe
from supernet.train.batches import Batches
from supernet.workflow.train import seeded_supernet

sys.path.append(str(Path(__file__).parents[2]))
from tests.train.toy_latency import latencies_of  # found by the line above


def double_batches() -> None:
    """Let the engine see images in double precision."""
    get = Batches.get

    def wide(*args: object) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = get(*args)  # type: ignore[arg-type]  # as they came
        return images.double(), labels.double() if labels.is_floating_point() else labels

    views = Evaluator._views

    def wide_views(*args: object) -> list[torch.Tensor]:
        return [batch.double() for batch in views(*args)]  # type: ignore[arg-type]  # as they came

    Batches.get = wide  # type: ignore[method-assign,assignment]  # on purpose
    Evaluator._views = wide_views  # type: ignore[method-assign,assignment]  # likewise
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]  # likewise


if __name__ == "__main__":
    double_batches()
    space, recipe, weights = map(Path, sys.argv[1:4])
    tiny = replace(load_space(space), in_channels=1, num_classes=10)
    asked = replace(load_recipe(recipe), accumulate=int(sys.argv[4]))
    with joined_processes("cpu") as processes:
        supernet = seeded_supernet(tiny, 0).double()
        dataset = load_dataset("fashion_mnist", resolution=tiny.resolutions[-1])
        folder = weights.with_suffix("")
        latencies = latencies_of(tiny, asked)
        trainer = Trainer(
            supernet, dataset, asked, folder=folder, processes=processes, latencies=latencies
        )
        trainer.train()
        if processes.is_main:
            torch.save(supernet.state_dict(), weights)
