"""The cells of a found network are drawn with all that they read."""

import numpy as np

from supernet.report._cells import cells_figure
from supernet.report.result_view import _cells
from supernet.space import decode, load_space, sample
from supernet.space.published_cells import published_subnet


def test_a_cell_is_drawn_with_every_node_and_edge() -> None:
    space = load_space("demo_cells")
    subnet = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    views = _cells(space, subnet)
    drawn = str(cells_figure(views, "search-0"))
    assert [view.kind for view in views] == ["normal", "reduction"]
    assert drawn.count("<svg") == 2
    edges = sum(2 * len(view.inputs) + len(view.output) for view in views)
    assert drawn.count('class="edge"') == edges
    for view in views:
        for (first, second), (left, right) in zip(view.inputs, view.operations):
            assert f">{left}({first})<" in drawn
            assert f">{right}({second})<" in drawn


def test_published_cells_are_named() -> None:
    space = load_space("darts_cifar")
    drawn = str(cells_figure(_cells(space, published_subnet(space, "darts_v2")), "search-0"))
    assert "reduction cell of darts_v2<" in drawn
    first = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    assert "normal cell<" in str(cells_figure(_cells(space, first), "search-0"))


def test_networks_of_stages_have_no_cells() -> None:
    space = load_space("demo")
    subnet = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    assert _cells(space, subnet) == ()
    assert str(cells_figure((), "search-0")) == ""
