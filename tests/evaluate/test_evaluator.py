"""Whoever evaluates a subnet gets it recalibrated, without asking."""

import numpy as np
import pytest
import torch

from supernet.data import Dataset, ImageSet, eval_view
from supernet.evaluate import Evaluator, Split, percent, recalibrate
from supernet.models import Supernet, extract
from supernet.space import Space, decode, sample, smallest


@pytest.fixture
def evaluator(supernet: Supernet, dataset: Dataset) -> Evaluator:
    return Evaluator(supernet, dataset, calibration_images=50, batch_size=20)


def test_percent_counts_hits() -> None:
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert percent(logits, np.array([1, 1, 1])) == pytest.approx(200 / 3)
    labels = np.arange(1000) % 3  # all of class 0, of which there are 334
    assert percent(torch.eye(3)[np.zeros(1000, int)], labels) == 33.4


def test_a_network_is_recalibrated_on_whole_batches_of_training_images(
    evaluator: Evaluator, supernet: Supernet, dataset: Dataset, tiny_space: Space
) -> None:
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    network = evaluator.network(subnet)
    assert not network.training
    expected = extract(supernet, subnet)
    pixels = evaluator.images("calibration").pixels(slice(0, 50))
    known = {image.tobytes() for image in dataset.train.pixels(slice(0, 70))}
    assert {image.tobytes() for image in pixels} <= known
    whole = [
        eval_view(torch.from_numpy(pixels[i : i + 20]), subnet.resolution, dataset.views)
        for i in (0, 20)  # the last ten images make no whole batch
    ]
    recalibrate(expected, whole)
    found = network.state_dict()
    for name, values in expected.state_dict().items():
        torch.testing.assert_close(found[name], values)


def test_statistics_of_training_do_not_change_an_evaluation(
    evaluator: Evaluator, supernet: Supernet, tiny_space: Space, rng: np.random.Generator
) -> None:
    subnet = decode(tiny_space, sample(tiny_space, 1, rng))[0]
    before = evaluator.subnet_top1(subnet, "test")
    for name, values in supernet.state_dict().items():
        if name.endswith("running_mean"):
            values.add_(50.0)
    assert evaluator.subnet_top1(subnet, "test") == before


def test_accuracy_is_that_of_the_asked_images_at_the_subnets_resolution(
    evaluator: Evaluator, dataset: Dataset, tiny_space: Space, rng: np.random.Generator
) -> None:
    for subnet in decode(tiny_space, sample(tiny_space, 3, rng)):
        network = evaluator.network(subnet)
        splits: tuple[tuple[Split, ImageSet], ...]
        splits = (("holdout", dataset.holdout), ("test", dataset.test))
        for split, images in splits:
            pixels = torch.from_numpy(images.pixels(slice(None)))
            view = eval_view(pixels, subnet.resolution, dataset.views)
            with torch.no_grad():
                hits = network(view).argmax(1).numpy() == images.labels
            top1 = evaluator.subnet_top1(subnet, split)
            assert top1 == pytest.approx(100 * hits.mean())


def test_logits_come_in_the_order_of_the_images(evaluator: Evaluator, tiny_space: Space) -> None:
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    network = evaluator.network(subnet)
    logits = evaluator.logits(network, subnet.resolution, "holdout")
    assert logits.shape == (30, 5)
    sizes = [len(view) for view in evaluator.views("holdout", subnet.resolution)]
    assert sizes == [20, 10]


def test_evaluation_leaves_the_supernet_as_it_was(
    evaluator: Evaluator, supernet: Supernet, tiny_space: Space
) -> None:
    before = {name: values.clone() for name, values in supernet.state_dict().items()}
    evaluator.subnet_top1(decode(tiny_space, smallest(tiny_space))[0], "test")
    assert supernet.subnet == supernet.largest
    assert supernet.training
    assert all((values == before[name]).all() for name, values in supernet.state_dict().items())


def test_batches_of_large_views_have_fewer_images(supernet: Supernet, dataset: Dataset) -> None:
    evaluator = Evaluator(supernet, dataset, batch_size=20)
    for resolution, sizes in ((128, [20, 10]), (572, [10, 10, 10]), (1800, [1] * 30)):
        assert [len(view) for view in evaluator.views("holdout", resolution)] == sizes


def test_two_evaluators_agree(
    evaluator: Evaluator, supernet: Supernet, dataset: Dataset, tiny_space: Space
) -> None:
    other = Evaluator(supernet, dataset, calibration_images=50, batch_size=20)
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    first, second = (each.logits(each.network(subnet), 16, "test") for each in (evaluator, other))
    assert (first == second).all()


def test_fewer_training_images_than_asked_for_are_all_used(
    supernet: Supernet, dataset: Dataset
) -> None:
    evaluator = Evaluator(supernet, dataset, calibration_images=10_000)
    assert len(evaluator.images("calibration")) == len(dataset.train)
