"""What a step sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from supernet.data import Augment, Dataset
from supernet.errors import ConfigError
from supernet.train.architecture.phase import unmixed
from supernet.train.batches import Batches
from supernet.train.processes import Processes

ALL = Augment(auto="auto", erasing=0.5, mixup=0.2, cutmix=1.0)


def seen(dataset: Dataset, augment: Augment, *, processes: int, parts: int) -> tuple[Tensor, ...]:
    """Views and labels of a step, part after part, process after process."""
    found = []
    for rank in range(processes):
        batches = Batches(
            dataset,
            batch_size=48,
            parts=parts,
            augment=augment,
            processes=Processes(rank=rank, count=processes),
        )
        for part in range(parts):
            found.append(((part, rank), batches.get(1, part, 20)))
        batches.close()
    ordered = [batch for _, batch in sorted(found, key=lambda pair: pair[0])]
    return tuple(torch.cat(values) for values in zip(*ordered))


def in_any_order(views: Tensor, labels: Tensor) -> Tensor:
    rows = torch.cat([views.flatten(1), labels.view(len(labels), -1)], dim=1)
    return rows[rows.sum(1).argsort()]


@pytest.mark.parametrize("augment", [Augment(), Augment(auto="trivial"), ALL], ids=str)
def test_several_processes_and_parts_see_what_one_sees(dataset: Dataset, augment: Augment) -> None:
    whole = in_any_order(*seen(dataset, augment, processes=1, parts=1))
    for processes, parts in ((2, 1), (1, 3), (4, 3)):
        found = in_any_order(*seen(dataset, augment, processes=processes, parts=parts))
        assert torch.equal(found, whole), (processes, parts)


def test_a_share_is_of_all_classes(dataset: Dataset) -> None:
    """The stored images of folders are sorted by class."""
    order = np.argsort(dataset.train.labels, kind="stable")
    by_class = replace(dataset, train=dataset.train.take(order))
    batches = Batches(by_class, batch_size=80, parts=2)
    for part in range(2):
        labels = batches.get(0, part, 16)[1]
        assert len(labels.unique()) > 7
        assert (labels.diff() >= 0).all()  # read in the order in which they are stored
    batches.close()


def test_mixed_labels_are_shares_and_whole_ones_are_classes(dataset: Dataset) -> None:
    labels = seen(dataset, ALL, processes=1, parts=1)[1]
    assert labels.shape == (48, 10)
    torch.testing.assert_close(labels.sum(1), torch.ones(48))
    assert ((labels > 0).sum(1) == 2).float().mean() > 0.5
    plain = seen(dataset, unmixed(ALL), processes=1, parts=1)[1]
    assert plain.dtype == torch.int64
    assert plain.shape == (48,)
    assert unmixed(None) == Augment(mixup=0.0, cutmix=0.0)


def test_crops_do_not_depend_on_what_else_is_asked_for(dataset: Dataset) -> None:
    whole = seen(dataset, Augment(), processes=1, parts=1)[0]
    holes = seen(dataset, Augment(erasing=0.5), processes=1, parts=1)[0]
    same = holes == whole
    assert (holes[~same] == 0).all()
    assert 0.7 < float(same.float().mean()) < 1


def test_pairs_need_an_even_share(dataset: Dataset) -> None:
    for rank in range(2):
        with pytest.raises(ConfigError, match="mix pairs, and a process's share of 18 is 3 images"):
            Batches(
                dataset,
                batch_size=18,
                parts=3,
                augment=ALL,
                processes=Processes(rank=rank, count=2),
            )
    odd = Batches(dataset, batch_size=7, augment=ALL)
    assert len(odd.get(0, 0, 16)[1]) == 7
    odd.close()
