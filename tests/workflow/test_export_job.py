"""What exporters are given of a network and its images."""

import numpy as np
import pytest
import torch

from supernet.data import Dataset, ImageSet, Views
from supernet.evaluate import Evaluator
from supernet.models import Supernet
from supernet.space import Space, SubnetFile, decode, smallest
from supernet.workflow.export_job import Job
from supernet.workflow.exported import ExportRequest

CLASSES = 5


def by_class(count: int, seed: int) -> ImageSet:
    """Images in the order of their classes, as those of a folder."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(count) * CLASSES // count)


def test_int8_is_chosen_by_held_out_images_of_all_classes(
    tiny_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many it takes some: not the first, which are of a few classes."""
    monkeypatch.setattr("supernet.workflow.export_job._CHECKED", 50)
    torch.manual_seed(0)
    dataset = Dataset(
        name="noise",
        classes=tuple("abcde"),
        train=by_class(70, 0),
        holdout=by_class(400, 1),
        test=by_class(40, 2),
        views=Views(mean=(0.5,) * 3, std=(0.25,) * 3, frame=1.0),
    )
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    file = SubnetFile.of(tiny_space, subnet)
    job = Job(Evaluator(Supernet(tiny_space), dataset), file, ExportRequest(int8=True))
    found = job._source("int8").holdout
    assert found is not None
    assert len(found.labels) == sum(map(len, found.batches)) == 50
    assert set(found.labels.tolist()) == set(range(CLASSES))
