"""What tests of methods share."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def generator() -> Callable[[int], np.random.Generator]:
    """The generator of a step."""
    return lambda step: np.random.default_rng([7, step])
