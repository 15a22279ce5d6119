"""Shipped spaces as parameters of tests: a few in `make test`, all of them in `make test-all`."""

import pytest

from supernet.space import list_spaces

__all__ = ["ALWAYS", "SHIPPED", "shipped"]

ALWAYS = (
    "alphanet",
    "darts_cifar",
    "demo",
    "demo_cells",
    "efficientnet_lite0",
    "mobilenet_v3",
    "mobilenet_v4_medium",
    "mobilenet_v4_hybrid",
    "nasnet_mobile",
    "resnet50d",
)
"""Every kind of operator, shortcut, gate and padding of a shipped space is in one of them, or in
`mixed_space`. Those with the most operators are left out: mnasnet has 9,690."""


def shipped(*names: str) -> list[object]:
    """These spaces as parameters, slow where they are not of `ALWAYS`."""
    slow = pytest.mark.slow
    return [name if name in ALWAYS else pytest.param(name, marks=slow) for name in names]


SHIPPED = shipped(*list_spaces())
