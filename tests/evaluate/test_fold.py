"""A network with folded batch norms and activations computes what it computed before."""

import numpy as np
import pytest
import torch
from torch import nn

from supernet.evaluate.fold import fold_norms
from supernet.models import Supernet, extract
from supernet.space import Space, decode, sample


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["tiny_space", "mixed_space"])
def test_folded_networks_give_the_same_logits(
    name: str, dtype: torch.dtype, request: pytest.FixtureRequest, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    space: Space = request.getfixturevalue(name)
    supernet = Supernet(space).to(dtype)
    images = torch.randn(4, 3, 24, 24, dtype=dtype)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    for subnet in decode(space, sample(space, 4, rng)):
        network = extract(supernet, subnet).train()
        network(images)  # statistics that are not 0 and 1
        network.eval()
        with torch.no_grad():
            expected = network(images)
            fold_norms(network)
            torch.testing.assert_close(network(images), expected, rtol=tolerance, atol=tolerance)
        assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
