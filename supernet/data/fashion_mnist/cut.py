"""How `fashion_mnist.npz` was cut from the original Fashion-MNIST files.

    python supernet/data/fashion_mnist/cut.py FOLDER_WITH_THE_FOUR_IDX_GZ_FILES

The first 1,200 training and the first 200 test images of every class, in their
original order, so that the result is class-balanced and can be made again bit
for bit. Debian's package `dataset-fashion-mnist` has the originals in
`/usr/share/datasets/fashion-mnist`.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

TRAIN_PER_CLASS, TEST_PER_CLASS = 1200, 200


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzipped IDX file (bytes 2-3: type and rank, then the sizes)."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def first_per_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` samples of every class, in file order."""
    picks = [np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]
    return np.sort(np.concatenate(picks))


def main(source: Path) -> None:
    """Write `fashion_mnist.npz` beside this file."""
    arrays = {}
    for split, prefix, count in (
        ("train", "train", TRAIN_PER_CLASS),
        ("test", "t10k", TEST_PER_CLASS),
    ):
        labels = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")
        keep = first_per_class(labels, count)
        arrays[f"{split}_images"] = read_idx(source / f"{prefix}-images-idx3-ubyte.gz")[keep]
        arrays[f"{split}_labels"] = labels[keep]
    target = Path(__file__).with_name("fashion_mnist.npz")
    np.savez_compressed(target, **arrays)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
