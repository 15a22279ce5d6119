"""Small spaces of cells, with everything that the large ones have."""

from dataclasses import replace
from pathlib import Path

from supernet.space import Space, load_space

__all__ = ["SMALL", "small"]


def small(name: str, resolution: int, filters: int, **cells: object) -> Space:
    """A shipped space of cells with one cell in each group, few channels and a small image."""
    space = load_space(name)
    assert space.cells is not None
    return replace(
        space,
        resolutions=(resolution,),
        stem=replace(space.stem, width=(12,)),
        cells=replace(space.cells, **{"filters": filters, "repeats": 1, **cells}),  # type: ignore[arg-type]  # as given
        num_classes=3,
    )


_NARROW = Path(__file__).parents[1] / "benchmarks" / "narrow_cells.yaml"
_FEW = ("identity", "avg3", "max3", "dil3", "sep3")
SMALL = {
    "nasnet_cifar": small("nasnet_cifar", 16, 4, nodes=3, operations=_FEW),
    "nasnet_mobile": small("nasnet_mobile", 47, 8, nodes=2, operations=_FEW),
    "early": small("nasnet_mobile", 48, 8, nodes=2, early=True, operations=("identity", "max3")),
    "darts_cifar": small("darts_cifar", 16, 4, operations=("identity", "max3", "dil3", "sep3")),
    "demo_cells": load_space("demo_cells"),
    "narrow": replace(load_space(_NARROW), resolutions=(63,)),
    "flat": small("nasnet_mobile", 47, 8, nodes=2, operations=("identity", "sep3", "flat7")),
}
"""Odd and even sizes, both kinds of padding, loose ends and all nodes joined."""
