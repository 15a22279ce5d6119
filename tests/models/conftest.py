"""Supernets whose every value is different, so that a wrong slice shows."""

from collections.abc import Callable

import pytest
import torch

from supernet.models import Supernet
from supernet.space import Space

MakeSupernet = Callable[[Space], Supernet]


@pytest.fixture(scope="session")
def make_supernet() -> MakeSupernet:
    def make(space: Space) -> Supernet:
        torch.manual_seed(0)
        supernet = Supernet(space)
        for name, values in supernet.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 2)
            elif values.dim() > 1:
                values.add_(0.1 * values.std() * torch.randn_like(values))
            else:
                values.add_(0.2 * torch.randn_like(values))
        return supernet

    return make
