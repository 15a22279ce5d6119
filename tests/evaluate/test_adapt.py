"""Weights that come with statistics of other images are made ready for these."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from supernet.data import Dataset, ImageSet
from supernet.elastic import ElasticBatchNorm
from supernet.evaluate import Evaluator, adapt_norms
from supernet.models import Supernet, extract
from supernet.space import Space


@pytest.fixture
def published(supernet: Supernet) -> Supernet:
    """With statistics that are not those of the data set, in every norm."""
    generator = torch.Generator().manual_seed(3)
    for module in supernet.modules():
        if isinstance(module, ElasticBatchNorm):
            shape = module.running_mean.shape
            module.running_mean.add_(0.3 * torch.randn(shape, generator=generator))
            module.running_var.mul_(torch.rand(shape, generator=generator) + 0.5)
            with torch.no_grad():
                module.weight.add_(0.2 * torch.randn(shape, generator=generator))
                module.bias.add_(0.2 * torch.randn(shape, generator=generator))
    return supernet


def test_the_largest_subnet_recalibrated_is_the_network_that_was_trained(
    published: Supernet, dataset: Dataset
) -> None:
    sizes = published.space.resolutions
    middle = sizes[len(sizes) // 2]
    evaluator = Evaluator(published, dataset, batch_size=500)  # one batch of calibration images
    subnet = replace(published.largest, resolution=middle)
    trained = extract(published, subnet).eval()
    expected = evaluator.logits(trained, middle, "test")
    before = evaluator.logits(evaluator.network(subnet), middle, "test")
    assert (before - expected).abs().max() > 0.1 * expected.abs().max()

    adapt_norms(evaluator)

    found = evaluator.logits(evaluator.network(subnet), middle, "test")
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    own = evaluator.logits(extract(published, subnet).eval(), middle, "test")
    assert (own - expected).abs().max() < 1e-4 * expected.abs().max()


def test_the_supernet_is_left_ready_to_train(published: Supernet, dataset: Dataset) -> None:
    weights = {n: v.clone() for n, v in published.named_parameters() if v.ndim > 1}
    adapt_norms(Evaluator(published, dataset))
    assert published.subnet == published.largest
    assert published.training
    assert not any(module._forward_pre_hooks for module in published.modules())
    assert all((v == weights[n]).all() for n, v in published.named_parameters() if v.ndim > 1)


def test_adapting_twice_changes_nothing_more(published: Supernet, dataset: Dataset) -> None:
    adapt_norms(Evaluator(published, dataset))
    once = {name: values.clone() for name, values in published.state_dict().items()}
    adapt_norms(Evaluator(published, dataset))
    for name, values in published.state_dict().items():
        torch.testing.assert_close(values, once[name], rtol=1e-4, atol=1e-4)


def test_every_calibration_batch_has_its_share_of_every_class(
    supernet: Supernet, dataset: Dataset, tiny_space: Space
) -> None:
    """Folders lie in the order of their classes."""
    labels = np.sort(dataset.train.labels)
    pixels = np.repeat(labels.astype(np.uint8), 16 * 16 * 3).reshape(-1, 16, 16, 3)
    sorted_set = replace(dataset, train=ImageSet(pixels, labels))
    evaluator = Evaluator(supernet, sorted_set, batch_size=35)
    batches = evaluator.views("calibration", tiny_space.resolutions[0])
    assert len(batches) == 2
    for batch in batches:
        assert len(batch[:, 0, 0, 0].unique()) == 5
