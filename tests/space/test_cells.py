"""Cells: what they may be, what is joined, and costs of whole populations."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from supernet.blocks import Wired
from supernet.errors import ConfigError, FileFormatError
from supernet.files import write_document
from supernet.space import (
    Cells,
    Domain,
    Space,
    SubnetFile,
    count_subnets,
    decode,
    encode,
    extremes,
    load_space,
    macs_of,
    network_peak_bytes,
    operators,
    params_of,
    sample,
    save_space,
    total_macs,
    total_params,
)
from supernet.space.cells import Cell, Node, kept_states, pair_choices
from supernet.space.published_cells import published_subnet
from tests.cells import SMALL

PUBLISHED = [
    # arXiv:1707.07012, tables 1 and 2: 3.3 M; 5.3 M and 564 M multiply-adds, at 1000 classes
    ("nasnet_cifar", "nasnet_a", 3_328_234, 525_786_624),
    ("nasnet_mobile", "nasnet_a", 5_289_978, 563_638_816),
    # the authors' code prints "param size = 3.349342MB"
    ("darts_cifar", "darts_v2", 3_349_342, 528_359_040),
]


@pytest.mark.parametrize(("name", "cells", "params", "macs"), PUBLISHED)
def test_published_cells_are_subnets(name: str, cells: str, params: int, macs: int) -> None:
    space = load_space(name)
    found = operators(space, published_subnet(space, cells))
    assert (total_params(found), total_macs(found)) == (params, macs)


def test_nasnet_a_large_has_the_parameters_of_timms() -> None:
    space = load_space("nasnet_mobile")
    assert space.cells is not None
    large = replace(
        space,
        resolutions=(331,),
        stem=replace(space.stem, width=(96,)),
        cells=replace(space.cells, filters=168, repeats=6, early=True),
    )
    found = operators(large, published_subnet(large, "nasnet_a"))
    assert total_params(found) == 88_753_150  # timm 1.0.31, nasnetalarge
    assert round(total_macs(found) / 1e9, 1) == 23.8  # arXiv:1707.07012, table 2


def test_cells_of_another_space_are_refused() -> None:
    with pytest.raises(ConfigError, match="normal of 5 nodes"):
        published_subnet(load_space("darts_cifar"), "nasnet_a")
    with pytest.raises(ConfigError, match="no published cells 'nasnet'; did you mean 'nasnet_a'"):
        published_subnet(load_space("nasnet_cifar"), "nasnet")


def test_loose_ends_are_joined_and_what_always_is() -> None:
    inputs = ("prev+cur", "cur+node1", "prev+cur")
    assert kept_states((), inputs) == (3, 4)  # node1 is read
    assert kept_states(("prev", "node1"), inputs) == (0, 2, 3, 4)


def test_a_node_reads_two_states_before_it() -> None:
    assert pair_choices(1, twice=True) == ("prev+cur",)
    assert pair_choices(2, twice=False) == ("cur+node1", "prev+node1", "prev+cur")
    assert [len(pair_choices(node, twice=True)) for node in (2, 3, 4, 5)] == [6, 10, 15, 21]


@pytest.mark.parametrize("name", SMALL)
def test_costs_of_populations_are_sums_over_operators(name: str) -> None:
    space = SMALL[name]
    genes = sample(space, 20, np.random.default_rng(0))
    subnets = decode(space, genes)
    assert (encode(space, subnets) == genes).all()
    for subnet, macs, params in zip(subnets, macs_of(space, genes), params_of(space, genes)):
        found = operators(space, subnet)
        assert (total_macs(found), total_params(found)) == (macs, params)


def test_extremes_are_those_of_all_subnets() -> None:
    space = _tiny()
    everything = Domain.of(space).everything()
    assert len(everything) == count_subnets(space) == (3 * 3**4) ** 2
    macs = macs_of(space, everything)
    least, most = extremes(space, lambda operator: operator.macs)
    assert macs_of(space, least) == macs.min()
    assert macs_of(space, most) == macs.max()


def test_reads_follow_the_graph() -> None:
    space = SMALL["demo_cells"]
    for subnet in decode(space, sample(space, 20, np.random.default_rng(1))):
        found = operators(space, subnet)
        assert isinstance(found, Wired)
        for number, (operator, reads) in enumerate(zip(found, found.reads)):
            assert len(reads) == operator.inputs
            for read in reads:
                assert read <= number
                before = found[read - 1] if read else None
                if before is not None and operator.op != "linear":
                    assert before.out_height == operator.height
                    assert operator.op == "concat" or before.out_channels == operator.in_channels
        used = {read for reads in found.reads for read in reads}
        assert used == set(range(len(found)))  # nothing is made for nothing


def test_the_peak_of_a_graph_counts_what_lives_on() -> None:
    space = SMALL["demo_cells"]
    found = operators(space, decode(space, sample(space, 1, np.random.default_rng(2)))[0])
    chain = [*found]
    assert network_peak_bytes(found) > network_peak_bytes(chain)


def test_a_subnet_file_holds_the_graph(tmp_path: Path) -> None:
    space, path = SMALL["demo_cells"], tmp_path / "subnet.json"
    subnet = decode(space, sample(space, 1, np.random.default_rng(3)))[0]
    file = SubnetFile.of(space, subnet)
    file.save(path)
    assert SubnetFile.load(path) == file
    assert SubnetFile.load(path).network.reads == operators(space, subnet).reads  # type: ignore[attr-defined]  # both are graphs
    path.write_text(path.read_text().replace('"reads": [\n', '"reads": [\n[7],\n', 1))
    with pytest.raises(FileFormatError, match="reads: "):
        SubnetFile.load(path)


def test_a_space_survives_its_file(tmp_path: Path) -> None:
    space = SMALL["demo_cells"]
    assert space.cells is not None
    fixed = space.cells.fixed(decode(space, sample(space, 1, np.random.default_rng(4)))[0].cells)
    narrowed = replace(space, cells=fixed)
    save_space(narrowed, tmp_path / "space.yaml")
    assert load_space(tmp_path / "space.yaml") == narrowed
    assert count_subnets(narrowed) == 1


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"nodes": 0}, "cells.nodes: a cell has 1 to 8, found 0: it has no output"),
        ({"operations": ["sep9"]}, "cells.operations: must be of .* found 'sep9'"),
        (
            {"normal": {"nodes": [{}, {"inputs": ["cur+node3"]}, {}]}},
            r"normal.nodes\[1\].inputs: node 2 may read .* \(node3 is not there before it\)",
        ),
        (
            {"normal": {"nodes": [{}, {"inputs": ["prev+node9"]}, {}]}},
            "no state is called 'node9'",
        ),
        (
            # a node after the first has 6, 10, 15, ... pairs of what is before it
            {"nodes": 7, "reduction": {"joined": [f"node{n}" for n in range(1, 8)]}},
            r"normal: the inputs of its 7 nodes have 19,051,200 combinations, at most 1,000,000 "
            r"are possible: .* \(normal.joined: \[node1, .* node7\]\)$",
        ),
        ({"normal": {"nodes": [{}]}}, "normal.nodes: 1 are given, a cell has 3"),
        ({"reduction": {"joined": ["cur"]}}, "reduction.joined: 'cur' is none of node1"),
        ({"stem_cells": 2, "filters": 6}, "filters: must be .* a multiple of 4, found 6"),
    ],
)
def test_wrong_cells_are_told_in_one_line(
    tmp_path: Path, cells: dict[str, object], text: str
) -> None:
    body = {
        "name": "wrong",
        "resolutions": [32],
        "stem": {"width": [8]},
        "cells": {"nodes": 3, "repeats": 1, "filters": 4, "operations": ["sep3"], **cells},
        "head": {},
    }
    write_document(tmp_path / "wrong.yaml", "space", 1, body)
    with pytest.raises(ConfigError, match=text):
        load_space(tmp_path / "wrong.yaml")


def test_eight_nodes_are_possible_where_few_combinations_of_inputs_count() -> None:
    nodes = tuple(f"node{n}" for n in range(1, 9))
    last = Node(inputs=("prev+cur",))
    narrow = Cell(nodes=(*[Node()] * 5, last, last, last))
    cells = Cells(nodes=8, repeats=1, filters=4, normal=Cell(joined=nodes), reduction=narrow)
    space = replace(SMALL["demo_cells"], cells=cells)
    subnet = decode(space, sample(space, 1, np.random.default_rng(4)))[0]
    assert len(subnet.cells[0].nodes) == 8
    assert operators(space, subnet)[-1].op == "linear"


def test_cells_stand_in_the_place_of_stages() -> None:
    space = SMALL["demo_cells"]
    with pytest.raises(ConfigError, match="give one of both"):
        replace(space, stages=load_space("demo").stages)
    with pytest.raises(ConfigError, match="head: after cells"):
        replace(space, head=replace(space.head, width=8))


def test_a_choice_that_a_cell_has_not_is_named() -> None:
    space = SMALL["demo_cells"]
    with pytest.raises(ConfigError, match=r"normal\.node2\.inputs: 'cur\+node3' is no choice"):
        Domain.of(space, {"normal.node2.inputs": ["cur+node3"]})
    left = Domain.of(space, {"left": ["sep3"], "normal.right": ["identity", "sep5"]})
    assert 1 < left.count < count_subnets(space)


def _tiny() -> Space:
    operations = "identity", "max3", "sep3"
    own = Cells(nodes=2, repeats=1, filters=4, operations=operations, twice=False)
    return replace(SMALL["demo_cells"], name="tiny_cells", cells=own)


def test_every_pair_is_read_once_in_the_table_of_choices() -> None:
    space = SMALL["nasnet_cifar"]
    assert space.cells is not None
    pairs = pair_choices(3, twice=True)
    assert (
        len(set(pairs)) == len(pairs) == len([*itertools.combinations_with_replacement("abcd", 2)])
    )
