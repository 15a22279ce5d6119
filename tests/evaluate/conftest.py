"""A data set of random images that a tiny supernet can be evaluated on."""

import numpy as np
import pytest
import torch

from supernet.data import Dataset, ImageSet, Views
from supernet.models import Supernet
from supernet.space import Space


def images(count: int, seed: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 5
    pixels = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, labels)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(
        name="noise",
        classes=tuple("abcde"),
        train=images(70, 0),
        holdout=images(30, 1),
        test=images(40, 2),
        views=Views(mean=(0.5,) * 3, std=(0.25,) * 3, frame=1.0),
    )


@pytest.fixture
def supernet(tiny_space: Space) -> Supernet:
    torch.manual_seed(0)
    return Supernet(tiny_space)
