"""Elastic batch norm is torch's over the leading channels."""

import pytest
import torch

from supernet.elastic import ElasticBatchNorm


@pytest.fixture
def norm() -> ElasticBatchNorm:
    torch.manual_seed(0)
    norm = ElasticBatchNorm(6, momentum=0.2, eps=1e-3)
    for values in (norm.weight, norm.bias, norm.running_mean):
        torch.nn.init.normal_(values)
    norm.running_var.uniform_(0.5, 2)
    return norm


def plain(norm: ElasticBatchNorm, channels: int) -> torch.nn.BatchNorm2d:
    module = torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.2)
    module.load_state_dict(norm.active_state(), strict=False)
    return module


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_a_plain_one_of_its_active_channels_does(
    norm: ElasticBatchNorm, training: bool
) -> None:
    norm.activate(4)
    reference = plain(norm, 4).train(training)
    norm.train(training)
    x = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(norm(x), reference(x))
    torch.testing.assert_close(norm.running_mean[:4], reference.running_mean)
    torch.testing.assert_close(norm.running_var[:4], reference.running_var)


def test_statistics_of_channels_that_are_not_active_stay(norm: ElasticBatchNorm) -> None:
    norm.activate(4)
    before = [norm.running_mean.clone(), norm.running_var.clone()]
    norm.train()(torch.randn(3, 4, 5, 5) + 3)
    for old, new in zip(before, (norm.running_mean, norm.running_var)):
        assert (old[:4] != new[:4]).all()
        assert (old[4:] == new[4:]).all()


@torch.no_grad()
@pytest.mark.parametrize("act", [torch.nn.Identity(), torch.nn.ReLU(), torch.nn.Hardswish()])
def test_the_variance_behind_it_is_that_of_normal_values(
    norm: ElasticBatchNorm, act: torch.nn.Module
) -> None:
    x = norm.running_mean + norm.running_var.sqrt() * torch.randn(100_000, 6)
    seen = act(norm.eval()(x[..., None, None]))[..., 0, 0].var(0)
    torch.testing.assert_close(norm.varies(act), seen, rtol=0.03, atol=1e-4)


@torch.no_grad()
def test_other_statistics_change_nothing_that_it_computes(norm: ElasticBatchNorm) -> None:
    x = torch.randn(3, 6, 5, 5)
    expected = norm.eval()(x)
    mean, variance = torch.randn(6), torch.tensor([0.0, 0.1, 1.0, 2.0, 5.0, 100.0])
    norm.adopt(mean, variance)
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
