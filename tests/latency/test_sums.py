"""After an import the ends of a table are shown, so that a wrong unit is seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from supernet.cli.latency.texts import imported_json, imported_rows
from supernet.latency import import_latency_table, published_sums
from supernet.latency.ofa import read_ofa_tables
from supernet.space import (
    Operator,
    decode,
    largest_subnet,
    load_space,
    operators,
    operators_of,
    smallest,
)
from tests.latency.test_ofa import I7, NOTE10, PIXEL1, needs_files

SPACE = replace(load_space("mobilenet_v3"), resolutions=(96, 128))


def key(operator: Operator) -> str:
    """How Once-for-All's tables name an operator."""
    o = operator
    before = f"input:{o.height}x{o.width}x{o.in_channels}"
    after = f"output:{o.out_height}x{o.out_width}x{o.out_channels}"
    if o.op in ("mbconv", "dsconv"):
        flags = f"idskip:{int(o.shortcut != 'none')}-se:{int(o.se > 0)}-hs:{int(o.act != 'relu')}"
        block = f"expand:{o.mid_channels}-kernel:{o.kernel}-stride:{o.stride}-{flags}"
        return f"expanded_conv-{before}-{after}-{block}"
    if o.op == "linear":
        return f"{'Logits' if o.bias else 'Conv_2'}-{before}-{after}"
    kind = "Conv" if o.in_channels == 3 else "Conv_1"
    return f"{'AvgPool2D' if o.op == 'pool' else kind}-{before}-{after}"


def time_ms(operator: Operator) -> float:
    return 0.01 + operator.macs * 1e-8


def written(path: Path, unit: float) -> Path:
    rows = (f"{key(one)}: {{mean: {time_ms(one) * unit!r}}}\n" for one in operators_of(SPACE))
    path.write_text("".join(rows))
    return path


def test_the_sums_are_those_of_the_smallest_and_the_largest_network(tmp_path: Path) -> None:
    table = read_ofa_tables([written(tmp_path / "phone.yaml", 1.0)], "phone")
    assert table.missing(SPACE) == []
    found = published_sums(table)
    assert found is not None
    assert (found.space, found.smallest_px, found.largest_px) == ("mobilenet_v3", 96, 128)
    ends = decode(SPACE, smallest(SPACE))[0], largest_subnet(SPACE)
    least, most = (sum(map(time_ms, operators(SPACE, subnet))) for subnet in ends)
    assert found.smallest_ms == pytest.approx(least)
    assert found.largest_ms == pytest.approx(most)
    assert least < most


def test_seconds_that_were_taken_for_milliseconds_are_seen(tmp_path: Path, home: Path) -> None:
    table, _ = import_latency_table([str(written(tmp_path / "phone.yaml", 1e-3))])
    rows = dict(imported_rows(table))
    most = sum(map(time_ms, operators(SPACE, largest_subnet(SPACE)))) / 1000
    assert rows["largest network"] == f"{most:.4g} ms by its rows (mobilenet_v3 at 128 px)"
    assert "read as milliseconds" in rows["unit"]
    told = imported_json(table)["sums"]
    assert told["largest_ms"] == pytest.approx(most)


def test_a_table_of_some_operators_has_no_sums(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("Conv-input:128x128x3-output:64x64x16: {mean: 1}\n")
    table = read_ofa_tables([tmp_path], "t")
    assert published_sums(table) is None
    assert dict(imported_rows(table))["its networks"].startswith("not known")


@needs_files
@pytest.mark.parametrize(
    ("source", "space"),
    [(NOTE10, "mobilenet_v3_w1.2"), (I7, "mobilenet_v3"), (PIXEL1, "proxyless_w1.0")],
)
def test_published_tables_are_of_their_space(source: Path, space: str, home: Path) -> None:
    table, _ = import_latency_table([str(source)], name="theirs")
    found = published_sums(table)
    assert found is not None
    assert found.space == space
    assert 1 < found.smallest_ms < found.largest_ms < 300
