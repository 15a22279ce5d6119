"""Rounding in training against rounding as integers do it."""

import numpy as np
import pytest
import torch

from supernet.elastic.rounding import rounded_input, rounded_weight
from supernet.models import Supernet
from supernet.space import Space


def test_weights_take_the_values_of_integers_of_a_channel(rng: np.random.Generator):
    values = rng.standard_normal((5, 4, 3, 3), dtype=np.float32)
    values[1] *= 100
    values[2] = 0
    found = rounded_weight(torch.from_numpy(values)).numpy()
    scale = np.abs(values).max((1, 2, 3), keepdims=True) / 63
    scale[2] = 1
    assert np.allclose(found, np.rint(values / scale) * scale, atol=1e-6 * np.abs(values).max())
    assert np.abs(found - values).max() > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_a_batch_norm_folded_later_changes_no_integer(sign: int, rng: np.random.Generator):
    weight = torch.from_numpy(rng.standard_normal((5, 4, 3, 3), dtype=np.float32))
    scale = sign * torch.from_numpy(rng.uniform(0.1, 10, (5, 1, 1, 1)).astype(np.float32))
    assert torch.allclose(rounded_weight(weight * scale), rounded_weight(weight) * scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 3.0), (0.5, 3.0), (-3.0, -0.5), (0.0, 0.0), (-1e-30, 1e30)]
)
def test_inputs_take_256_values_of_which_one_is_zero(low: float, high: float):
    x = torch.linspace(low, high, 4096)
    found = rounded_input(x)
    step = (max(high, 0) - min(low, 0)) / 255
    assert torch.isfinite(found).all()
    assert (found - x).abs().max() <= step * 0.51 + 1e-9
    assert len(found.unique()) <= 256
    assert (rounded_input(torch.tensor([low, 0.0, high]))[1] == 0).all()


def test_gradients_pass_as_if_nothing_were_rounded(rng: np.random.Generator):
    for rounded in (rounded_weight, rounded_input):
        x = torch.from_numpy(rng.standard_normal((4, 4, 3, 3), dtype=np.float32)).requires_grad_()
        rounded(x).backward(torch.full_like(x, 2.0))
        assert x.grad is not None
        assert (x.grad == 2).all()


def test_layers_round_within_and_no_longer_after(any_space: Space):
    supernet = Supernet(any_space).eval()
    x = torch.randn(2, any_space.in_channels, any_space.resolutions[0], any_space.resolutions[0])
    with torch.inference_mode():
        before = supernet(x)
        with supernet.on_integers():
            within = supernet(x)
        assert torch.equal(supernet(x), before)
    assert not torch.equal(within, before)
    assert torch.isfinite(within).all()
