"""Views are made batch by batch; memory does not grow with the split."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from supernet.data import Dataset, eval_view
from supernet.evaluate.batches import ViewBatches, ViewCache


def batches(dataset: Dataset, size: int = 12) -> ViewBatches:
    return ViewBatches(dataset.test, 16, dataset.views, batch_size=size, device=torch.device("cpu"))


def test_batches_are_the_views_of_the_images_in_order(dataset: Dataset) -> None:
    made = batches(dataset)
    whole = eval_view(torch.from_numpy(dataset.test.pixels(slice(None))), 16, dataset.views)
    assert [len(batch) for batch in made] == [12, 12, 12, 4]
    assert (torch.cat(list(made)) == whole).all()
    assert (made[-1] == whole[36:]).all()
    assert [len(batch) for batch in made[1:3]] == [12, 12]
    assert made.num_bytes == whole.numel() * 4
    with pytest.raises(IndexError):
        made[4]


def test_batches_made_at_once_are_the_same_in_one_block(dataset: Dataset) -> None:
    made = batches(dataset).made()
    assert all((a == b).all() for a, b in zip(made, batches(dataset), strict=True))
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in made)
    assert len({one.untyped_storage().data_ptr() for one in made}) == 1


def test_small_sets_are_kept_the_oldest_goes_first_and_large_ones_are_not(
    dataset: Dataset,
) -> None:
    made: list[str] = []

    def get(name: str) -> None:
        cache.get((name, 16, 0), lambda: made.append(name) or batches(dataset))  # type: ignore[func-returns-value]  # for its effect

    cache = ViewCache(2 * batches(dataset).num_bytes)
    for name in ("a", "b", "a", "c", "a", "b"):
        get(name)
    assert made == ["a", "b", "c", "b"]
    small = ViewCache(100)
    assert isinstance(small.get(("a", 16, 0), lambda: batches(dataset)), ViewBatches)


PROGRAM = """
import resource, sys
import numpy as np
from supernet.data import Dataset, ImageSet, Views
from supernet.evaluate import Evaluator, EvaluationTask, tasks_of
from supernet.models import Supernet
from supernet.space import load_space, smallest
from dataclasses import replace

count, size = map(int, sys.argv[1:])
few = np.random.default_rng(0).integers(0, 256, (64, size, size, 3), dtype=np.uint8)

class Repeated:  # as many as are asked for, in the memory of a few
    shape = (count, size, size, 3)
    def __getitem__(self, rows):
        return few[rows % 64]

images = ImageSet(Repeated(), np.arange(count) % 10)
space = replace(load_space("demo"), in_channels=3, resolutions=(size,))
views = Views(mean=(0.5,) * 3, std=(0.25,) * 3)
dataset = Dataset(name="d", classes=tuple("abcdefghij"), train=images, holdout=images,
                  test=images, views=views)
evaluator = Evaluator(Supernet(space).eval(), dataset, kept_bytes=1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(task,) = tasks_of(space, smallest(space))
evaluator.evaluate(task)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def grown_mib(count: int, size: int) -> float:
    """Peak memory of one evaluation on `count` images beside what the imports take."""
    command = [sys.executable, "-c", PROGRAM, str(count), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_split() -> None:
    views_mib = 6_000 * 3 * 96 * 96 * np.dtype(np.float32).itemsize / 2**20  # 633
    assert grown_mib(7_000, 96) - grown_mib(1_000, 96) < views_mib / 4
