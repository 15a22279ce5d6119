"""Peak memory of evaluations on a large split of large images.

    python benchmarks/evaluation_memory.py

The smallest subnet of `mobilenet_v3` on 50,000 synthetic images at 224 px, then the largest on
fewer (its activations are the largest of the space). Pixels are made batch by batch, as those of
a data set that is decoded on demand are, so that none of them is counted: the peak is what an
evaluation needs beside the pixels. Writes
`benchmarks/results/evaluation_memory_<hardware>_<date>.json`.
"""

import argparse
import resource
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from records import add_hardware, write_result

from supernet.data import Dataset, ImageSet, Views
from supernet.evaluate import Evaluator, tasks_of
from supernet.models import Supernet
from supernet.space import Genes, largest, load_space, smallest

SIZE, STORED, DISTINCT = 224, 256, 256


class Synthetic:
    """As many images as are asked for, in the memory of a few.

    Args:
        count: of the images.
    """

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self._few = rng.integers(0, 256, (DISTINCT, STORED, STORED, 3), dtype=np.uint8)
        self.shape = (count, STORED, STORED, 3)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images of these rows, shape ``(n, 256, 256, 3)``."""
        return self._few[rows % DISTINCT]


def dataset_of(count: int) -> Dataset:
    """Synthetic images of 1,000 classes, as many of each split."""
    images = ImageSet(Synthetic(count), np.arange(count) % 1000)
    views = Views(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    classes = tuple(map(str, range(1000)))
    splits: dict[str, Any] = {"train": images, "holdout": images, "test": images}
    return Dataset(name="synthetic", classes=classes, views=views, **splits)


def peak_mib() -> float:
    """The most memory that this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(evaluator: Evaluator, genes: Genes, name: str, images: int) -> dict[str, Any]:
    """Evaluate one subnet at 224 px on some hold-out images."""
    space = evaluator.supernet.space
    genes[:, 0] = space.resolutions.index(SIZE)
    (task,) = tasks_of(space, genes, images=images)
    start = time.perf_counter()
    evaluator.evaluate(task)
    row = {"subnet": name, "holdout_images": images, "size": SIZE}
    row |= {"seconds": time.perf_counter() - start, "peak_mib": peak_mib()}
    print(row, flush=True)
    return row


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="hold-out, for the smallest")
    parser.add_argument("--of-largest", type=int, default=2_000, help="hold-out, for the largest")
    add_hardware(parser)
    options = parser.parse_args()
    torch.manual_seed(0)
    space = load_space("mobilenet_v3")
    evaluator = Evaluator(Supernet(space).eval(), dataset_of(options.images))
    before = peak_mib()
    rows = [
        measure(evaluator, smallest(space), "smallest", options.images),
        measure(evaluator, largest(space), "largest", options.of_largest),
    ]
    body = {
        "space": space.name,
        "calibration_images": len(evaluator.images("calibration")),
        "pixels_gib": options.images * STORED**2 * 3 / 2**30,
        "before_mib": before,
        "rows": rows,
    }
    print(write_result("evaluation_memory", options.hardware, ("torch",), body))


if __name__ == "__main__":
    main()
