"""A network with folded batch norms computes what it computed before."""

import numpy as np
import pytest
import torch
from torch import nn

from supernet.evaluate.fold import fold_norms
from supernet.models import Supernet, extract
from supernet.space import Space, decode, sample


@pytest.mark.parametrize("name", ["tiny_space", "mixed_space"])
def test_folded_networks_give_the_same_logits(
    name: str, request: pytest.FixtureRequest, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    space: Space = request.getfixturevalue(name)
    supernet = Supernet(space).double()
    images = torch.randn(4, 3, 24, 24, dtype=torch.float64)
    for subnet in decode(space, sample(space, 4, rng)):
        network = extract(supernet, subnet).train()
        network(images)  # statistics that are not 0 and 1
        network.eval()
        with torch.no_grad():
            expected = network(images)
            fold_norms(network)
            torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)
        assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
