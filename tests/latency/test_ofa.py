"""Published latency tables: the same sums as by Once-for-All's own tables.

The published files are their authors' and not part of this project: the tests look for
them as `tests/space/test_net_config.py` does, and are skipped where they are not.
"""

import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supernet.errors import FileFormatError
from supernet.latency import LatencyTable
from supernet.latency.ofa import read_ofa_tables
from supernet.space import Operator, load_space
from supernet.space.net_config import read_net_config
from tests.published import PUBLISHED, needs

needs_files = needs()
NOTE10 = PUBLISHED / "ofa" / "note10"
PIXEL1 = PUBLISHED / "proxylessnas" / "mobile_trim.yaml"
I7 = PUBLISHED / "latency" / "i7-8700K_lut.yaml"
CHOICES = {"ks_list": [3, 5, 7], "depth_list": [2, 3, 4]}


@pytest.fixture(scope="module")
def ofa() -> Any:
    reason = "the package `ofa` is not installed: pip install 'supernet[dev]'"
    return pytest.importorskip("ofa.imagenet_classification.elastic_nn.networks", reason=reason)


def referee(kind: str, path: Path) -> Any:
    """A table of the package, whose own reader calls `yaml.load` as it once could be called."""
    module = pytest.importorskip("ofa.nas.efficiency_predictor.latency_lookup_table")
    yaml = pytest.importorskip("yaml")
    table = object.__new__(getattr(module, kind))
    table.lut = yaml.safe_load(path.read_text())
    return table


def random_configs(theirs: Any, count: int = 5) -> Iterator[dict[str, Any]]:
    """Of random subnets; the package draws from the global generator."""
    state = random.getstate()
    try:
        random.seed(0)
        for _ in range(count):
            theirs.sample_active_subnet()
            yield theirs.get_active_net_config()
    finally:
        random.setstate(state)


def operators_of_config(folder: Path, config: dict[str, Any], size: int) -> tuple[Operator, ...]:
    (folder / "net.config").write_text(json.dumps(config))
    return read_net_config(folder / "net.config", size)


def total_ms(table: LatencyTable, operators: tuple[Operator, ...]) -> float:
    return sum(table.rows[operator].ms for operator in operators)


@needs_files
@pytest.mark.parametrize("size", [160, 176, 192, 208, 224])
def test_sums_of_the_once_for_all_format_are_the_referees(ofa: Any, size: int, tmp_path: Path):
    path = NOTE10 / f"{size}_lookup_table.yaml"
    theirs, ours = referee("MBv3LatencyTable", path), read_ofa_tables([path], "note10")
    net = ofa.OFAMobileNetV3(width_mult=1.2, expand_ratio_list=[3, 4, 6], **CHOICES)
    for config in random_configs(net):
        expected = theirs.predict_network_latency_given_config(config, size)
        found = total_ms(ours, operators_of_config(tmp_path, config, size))
        assert found == pytest.approx(expected, rel=1e-12)


@needs_files
def test_sums_of_the_proxylessnas_format_are_the_referees(ofa: Any, tmp_path: Path):
    theirs, ours = referee("ProxylessNASLatencyTable", PIXEL1), read_ofa_tables([PIXEL1], "pixel1")
    net = ofa.OFAProxylessNASNets(width_mult=1.0, expand_ratio_list=[3, 6], **CHOICES)
    for config in random_configs(net):
        expected = theirs.predict_network_latency_given_config(config, 224)
        found = total_ms(ours, operators_of_config(tmp_path, config, 224))
        assert found == pytest.approx(expected, rel=1e-12)


def nsganetv2_keys(config: dict[str, Any], size: int) -> Iterator[str]:
    """The rows that a network needs in NSGANetV2's table, which has none for the pooling."""
    first, expand, mix = (
        config[name] for name in ("first_conv", "final_expand_layer", "feature_mix_layer")
    )
    half = (size + 1) // 2
    yield f"first_conv-input:{size}x{size}x3-output:{half}x{half}x{first['out_channels']}"
    size = half
    for block in config["blocks"]:
        conv = block["conv"]
        after = (size - 1) // conv["stride"] + 1
        yield (
            f"MBConv-input:{size}x{size}x{conv['in_channels']}"
            f"-output:{after}x{after}x{conv['out_channels']}-expand:{conv['expand_ratio']}"
            f"-kernel:{conv['kernel_size']}-stride:{conv['stride']}"
            f"-idskip:{int(block['shortcut'] is not None)}-se:{int(conv['use_se'])}"
        )
        size = after
    yield (
        f"final_expand_layer-input:{size}x{size}x{expand['in_channels']}"
        f"-output:{size}x{size}x{expand['out_channels']}"
    )
    yield f"feature_mix_layer-input:1x1x{mix['in_channels']}-output:1x1x{mix['out_channels']}"
    yield f"classifier-input:{config['classifier']['in_features']}-output:1000"


@needs_files
@pytest.mark.parametrize("width", [1.0, 1.2])
@pytest.mark.parametrize("size", [128, 200, 224])
def test_sums_of_the_nsganetv2_format_are_those_of_its_keys(
    ofa: Any, i7: LatencyTable, width: float, size: int, tmp_path: Path
):
    lines = I7.read_text().splitlines()
    means = {key[:-1]: float(mean.split()[1]) for key, mean in itertools.pairwise(lines)
             if not key.startswith(" ")}  # fmt: skip
    net = ofa.OFAMobileNetV3(width_mult=width, expand_ratio_list=[3, 4, 6], **CHOICES)
    for config in random_configs(net, 3):
        expected = sum(means[key] for key in nsganetv2_keys(config, size))
        found = total_ms(i7, operators_of_config(tmp_path, config, size))
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def i7() -> LatencyTable:
    return read_ofa_tables([I7], "i7")


@needs_files
@pytest.mark.parametrize(
    ("source", "name", "sizes", "missing"),
    [
        (NOTE10, "mobilenet_v3_w1.2", (160, 176, 192, 208, 224), 0),
        (I7, "mobilenet_v3", (96, 128, 160, 192, 224, 256), 0),
        (I7, "mobilenet_v3_w1.2", (96, 128, 160, 192, 224, 256), 0),
        (PIXEL1, "proxyless_w1.0", (224,), 33),  # an expand ratio of 4 was not measured
    ],
)
def test_published_tables_hold_every_operator_of_their_space(
    source: Path, name: str, sizes: tuple[int, ...], missing: int
):
    table = read_ofa_tables([source], "theirs")
    assert len(table.missing(replace(load_space(name), resolutions=sizes))) == missing


@needs_files
def test_a_table_comes_back_from_its_file(tmp_path: Path):
    table = read_ofa_tables([NOTE10], "note10")
    table.save(tmp_path / "note10.json")
    found = LatencyTable.load(tmp_path / "note10.json")
    assert found.rows == table.rows
    assert found.held_out.networks == 0
    assert found.device["source"].startswith("160_lookup_table.yaml, 176_")


# One row of each format and kind, and the operators that it stands for, with shares
ROWS = [
    ("Conv-input:225x224x3-output:113x112x16", {"conv 3-16 k3 s2 {act} 225x224": 1}),
    ("first_conv-input:96x96x3-output:48x48x24", {"conv 3-24 k3 s2 {act} 96x96": 1}),
    ("Conv_1-input:7x7x320-output:7x7x1280", {"conv 320-1280 k1 s1 {act} 7x7": 1}),
    (
        "final_expand_layer-input:7x7x160-output:7x7x960",
        {"conv 160-960 k1 s1 {act} 7x7": 1, "pool 960-960 k1 s1 none 7x7": 0},
    ),
    ("Conv_2-input:1x1x1152-output:1x1x1536", {"linear 1152-1536 k1 s1 {act} 1x1": 1}),
    ("feature_mix_layer-input:1x1x960-output:1x1x1280", {"linear 960-1280 k1 s1 {act} 1x1": 1}),
    ("AvgPool2D-input:5x5x1152-output:1x1x1152", {"pool 1152-1152 k1 s1 none 5x5": 1}),
    ("classifier-input:1280-output:1000", {"linear 1280-1000 k1 s1 none bias 1x1": 1}),
    ("Logits-input:1x1x1536-output:1000", {"linear 1536-1000 k1 s1 none bias 1x1": 1}),
    (
        "Logits-input:7x7x1280-output:1000",
        {"linear 1280-1000 k1 s1 none bias 1x1": 1, "pool 1280-1280 k1 s1 none 7x7": 0},
    ),
]
PROXYLESS = "expanded_conv-input:56x56x24-output:28x28x40-expand:3-kernel:5-stride:2-idskip:0"
OFA_BLOCK = (
    "expanded_conv-input:56x56x24-output:56x56x24-expand:80-kernel:7-stride:1-idskip:1-se:{}-hs:{}"
)
NSGANET = "MBConv-input:28x28x{0}-output:28x28x{1}-expand:{2}-kernel:3-stride:1-idskip:{3}-se:{4}"
V3 = "expanded_conv-input:8x8x8-output:8x8x8-expand:8-kernel:3-stride:1-idskip:0-se:0-hs:0"
BLOCKS = [
    (PROXYLESS, "mbconv 24-72-40 k5 s2 relu6 56x56"),
    (PROXYLESS.replace("expand:3", "expand:1"), "dsconv 24-24-40 k5 s2 relu6 56x56"),
    (OFA_BLOCK.format(0, 0), "mbconv 24-80-24 k7 s1 relu shortcut 56x56"),
    (OFA_BLOCK.format(1, 1), "mbconv 24-80-24 k7 s1 hard_swish se24 shortcut 56x56"),
    (NSGANET.format(40, 40, 3, 1, 1), "mbconv 40-120-40 k3 s1 relu se32 shortcut 28x28"),
    (NSGANET.format(40, 80, 6, 0, 0), "mbconv 40-240-80 k3 s1 hard_swish 28x28"),
    (NSGANET.format(16, 16, 1, 1, 0), "dsconv 16-16-16 k3 s1 relu shortcut 28x28"),
]


def written(folder: Path, *keys: str, values: str = "  mean: 2.5\n  std: 0.5\n") -> Path:
    (folder / "t.yaml").write_text("".join(f"{key}:\n{values}" for key in keys))
    return folder / "t.yaml"


@pytest.mark.parametrize(("key", "expected"), ROWS)
@pytest.mark.parametrize("act", ["relu6", "hard_swish"])
def test_a_row_is_its_operators(tmp_path: Path, key: str, expected: dict[str, float], act: str):
    """The activation is that of MobileNetV3, where blocks say more than ProxylessNAS's do."""
    keys = [key, V3] if act == "hard_swish" else [key]
    table = read_ofa_tables([written(tmp_path, *keys)], "t")
    found = {operator.key: row.ms for operator, row in list(table.rows.items())[: len(expected)]}
    assert found == {name.format(act=act): 2.5 * share for name, share in expected.items()}


@pytest.mark.parametrize(("key", "expected"), BLOCKS)
def test_a_block_is_its_operator(tmp_path: Path, key: str, expected: str):
    table = read_ofa_tables([written(tmp_path, key)], "t")
    assert [operator.key for operator in table.rows] == [expected]


def test_the_layout_of_yaml_does_not_matter(tmp_path: Path):
    lines = [
        "# by others", "---", "'Conv-input:8x8x3-output:4x4x8':", "", f'"{V3}":  ',
        "    mean:   1e-1   # ms", "# in between", "\tvar: 0.25", "...",
    ]  # fmt: skip
    path = tmp_path / "t.yaml"
    path.write_text("\r\n".join([lines[0], lines[1], *lines[4:]]))
    (row,) = read_ofa_tables([path], "t").rows.values()
    assert (row.ms, row.spread_ms) == (0.1, 0.5)
    path.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=r"line 3: .*: no mean"):
        read_ofa_tables([path], "t")


def test_a_folder_stands_for_its_tables(tmp_path: Path):
    for size in (8, 16):
        (tmp_path / f"{size}.yaml").write_text(
            f"AvgPool2D-input:{size}x8x8-output:1x1x8:\n mean: 1"
        )
    (tmp_path / "notes.txt").write_text("no table")
    assert len(read_ofa_tables([tmp_path], "t").rows) == 2
    (tmp_path / "empty").mkdir()
    for paths in ([tmp_path / "empty"], []):
        with pytest.raises(FileFormatError, match=r"no \*\.yaml, \*\.yml or \*\.json in it"):
            read_ofa_tables(paths, "t")


@pytest.mark.parametrize(
    "content",
    [
        "{C}: {{mean: 1.5, std: 0.5, count: 4}}\n{P}: {{mean: 2}}\n",
        "'{C}': {{'mean': 1.5, \"std\": 5e-1,\n    count: 4}}  # ms\n\n{P}: {{mean: 2\n  }}\n",
        "{C}:\n  mean: 1.5\n  std: 0.5\n{P}: {{mean: 2}}\n",
        "{{{C}: {{mean: 1.5, std: 0.5}},\n  {P}: {{mean: 2}}}}\n",
        '{{"{C}": {{"mean": 1.5, "std": 0.5, "count": 4}}, "{P}": {{"mean": 2}}}}',
        '\ufeff\n {{"{C}":{{"mean":1.5,"std":0.5}},\n"{P}":2}}\n',
    ],
)
def test_braces_and_json_say_the_same_as_lines(tmp_path: Path, content: str):
    text = content.format(C=CONV, P="AvgPool2D-input:5x5x8-output:1x1x8")
    (tmp_path / "t.json").write_text(text, encoding="utf-8")
    rows = read_ofa_tables([tmp_path], "t").rows
    assert {o.key: (row.ms, row.spread_ms) for o, row in rows.items()} == {
        "conv 3-8 k3 s2 relu6 8x8": (1.5, 0.5),
        "pool 8-8 k1 s1 none 5x5": (2.0, 0.0),
    }


@needs_files
@pytest.mark.parametrize("style", ["json", "flow", "braces"])
def test_the_published_table_is_the_same_in_any_style(tmp_path: Path, style: str):
    yaml = pytest.importorskip("yaml")
    path = NOTE10 / "160_lookup_table.yaml"
    content = yaml.safe_load(path.read_text())
    text = json.dumps(content)
    if style != "json":
        text = yaml.dump(content, default_flow_style=True if style == "flow" else None)
    (tmp_path / "t.yaml").write_text(text)
    assert read_ofa_tables([tmp_path], "t").rows == read_ofa_tables([path], "t").rows


def test_a_row_of_several_files_is_their_mean_by_count(tmp_path: Path):
    """Means 1, 2.3 and 2.3 of counts 2, 1 and 1, whose deviations were 0.1, 0.2 and 0."""
    for number, values in enumerate(
        ("mean: 1, std: 0.1, count: 2", "mean: 2.3, var: 0.04, count: 1", "mean: 2.3")
    ):
        (tmp_path / f"{number}.yaml").write_text(f"{CONV}: {{{values}}}\n")
    table = read_ofa_tables([tmp_path], "t")
    (row,) = table.rows.values()
    assert row.ms == pytest.approx((2 * 1 + 2.3 + 2.3) / 4)
    within, between = (2 * 0.01 + 0.04) / 4, (2 * 0.65**2 + 2 * 0.65**2) / 4
    assert row.spread_ms == pytest.approx((within + between) ** 0.5)
    assert (table.protocol["repeated"], table.protocol["apart"]) == (1, 2.3)
    (tmp_path / "1.yaml").unlink()
    (tmp_path / "2.yaml").unlink()
    assert "repeated" not in read_ofa_tables([tmp_path], "t").protocol


def test_a_row_without_a_time_of_its_own_gives_way_to_one_with_it(tmp_path: Path):
    """Some formats have no row for the pooling, which then counts nothing."""
    (tmp_path / "a.yaml").write_text("Logits-input:7x7x8-output:10: {mean: 3}\n")
    (tmp_path / "b.yaml").write_text("AvgPool2D-input:7x7x8-output:1x1x8: {mean: 2}\n")
    (tmp_path / "c.yaml").write_text("Logits-input:7x7x8-output:10: {mean: 5}\n")
    rows = read_ofa_tables([tmp_path], "t").rows
    assert {operator.op: row.ms for operator, row in rows.items()} == {"linear": 4.0, "pool": 2.0}


CONV = "Conv-input:8x8x3-output:4x4x8"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "no row in it"),
        ("\n\n# nothing\n", "no row in it"),
        ("a: 1\n", "line 1: not a key of a latency table: 'a: 1'"),
        ("<!DOCTYPE html>\n<html>\n", "line 1: not a key of a latency table"),
        ("  mean: 1\n", "line 1: expected `name: number`"),
        (f"{CONV}:\n  mean: 1\n  mean: 2\n", "line 3: expected `name: number`, once each"),
        (f"{CONV}:\n  mean: 1\n{CONV}:\n  mean: 1\n", f"line 3: '{CONV}' is there twice"),
        (f"{CONV}:\n", f"line 1: {CONV}: no mean"),
        (f"{CONV}:\n  std: 1\n", "no mean"),
        (f"{CONV}: 1\n", "line 1: not a key of a latency table"),
        (f"{CONV}: {{mean 1}}\n", "line 1: expected `name: number` in the braces"),
        (f"{CONV}: {{mean: 1, mean: 2}}\n", "line 1: expected `name: number` in the braces"),
        (f"{CONV}: {{mean: [1]}}\n", r"line 1: expected a number from 0, found '\[1\]'"),
        (f"{CONV}: {{}}\n", "no mean"),
        (f"{CONV}: {{mean: 1}}\n{CONV}: {{mean: 1}}\n", f"line 2: '{CONV}' is there twice"),
        (f"{CONV}: {{mean: 1,\n", "line 1: not a key of a latency table"),
        (f'{{"{CONV}": {{"mean": 1}}, "{CONV}": {{"mean": 1}}}}', "is there twice"),
        (f'{{"{CONV}": {{"mean": NaN}}}}', "expected a number from 0, found 'nan'"),
        (f'{{"{CONV}": {{"mean": true}}}}', "expected a number from 0, found 'True'"),
        (f'{{"{CONV}": [1]}}', r"expected a number from 0, found '\[1\]'"),
        (f'{{"{CONV}": {{"mean": 1}}', "neither JSON nor YAML"),
        ("{" * 100_000, "neither JSON nor YAML"),
        (f"{{{CONV}: !!python/object/apply:os.system [a]}}", "neither JSON nor YAML"),
        ("{}", "no row in it"),
        (f"{CONV}:\n  mean: [1]\n", r"expected a number from 0, found '\[1\]'"),
        (f"{CONV}:\n  mean: !!python/object/apply:os.system [a]\n", "line 2: expected `name"),
        (f"{CONV}:\n  mean: &a 1\n", "line 2: expected `name: number`"),
        (f"{CONV}:\n  mean: -1\n", "expected a number from 0, found '-1'"),
        (f"{CONV}:\n  mean: .nan\n", "expected a number from 0"),
        (f"{CONV}:\n  mean: nan\n", "expected a number from 0"),
        (f"{CONV}:\n  mean: 1e999\n", "expected a number from 0"),
        (f"{CONV}:\n  mean: {'9' * 1_000_000}\n", "expected a number from 0"),
        (f"{CONV}:\n  mean: 1e8\n", "ms: must be from 0 to 1e7"),
        (f"{CONV}:\n  mean: 1\n  std: 1e8\n", "spread_ms: must be from 0 to 1e7"),
        ("X-input:8-output:8:\n  mean: 1\n", "unknown layer 'X'"),
        ("Conv-input:8x8x3-output:0x0x8:\n  mean: 1\n", "division by zero"),
        ("Conv-input:8x8x3-output:5x5x8:\n  mean: 1\n", "stride 2 gives 4x4"),
        ("Conv-input:99999x99999x3-output:50000x50000x8:\n  mean: 1\n", "must be from 0 to 65536"),
        ("Conv-input:0x0x0-output:1x1x1:\n  mean: 1\n", "at least 1"),
        ("Conv-input:999999x8x3-output:4x4x8:\n  mean: 1\n", "not a key"),
        (f"{'C' * 1_000_000}-input:8-output:8:\n  mean: 1\n", "not a key of a latency table: 'CCC"),
        (f"{PROXYLESS.replace('-kernel:5', '')}:\n  mean: 1\n", "it does not say 'kernel'"),
        (f"{PROXYLESS.replace('kernel:5', 'kernel:4')}:\n  mean: 1\n", "kernel must be odd"),
        (f"{PROXYLESS.replace('kernel:5', 'kernel:5.5')}:\n  mean: 1\n", "kernel: must be a whole"),
        (f"{PROXYLESS.replace('stride:2', 'stride:0')}:\n  mean: 1\n", "at least 1"),
        (f"{PROXYLESS.replace('stride:2', 'stride:1')}:\n  mean: 1\n", "stride 1 gives 56x56"),
        (f"{PROXYLESS.replace('idskip:0', 'idskip:1')}:\n  mean: 1\n", "identity needs stride 1"),
        (f"{PROXYLESS}{'-a:1' * 100_000}:\n  mean: 1\n", "not a key of a latency table"),
        (
            f"{NSGANET.format(41, 40, 3, 0, 0)}:\n  mean: 1\n",
            "no stage of MobileNetV3 goes from 41",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, content: str, text: str):
    (tmp_path / "t.yaml").write_text(content)
    start = time.perf_counter()
    with pytest.raises(FileFormatError, match=text) as caught:
        read_ofa_tables([tmp_path / "t.yaml"], "t")
    assert time.perf_counter() - start < 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_other_bytes_and_huge_files_are_refused(tmp_path: Path):
    path = tmp_path / "t.yaml"
    for content in (b"\xff\xfe\x00", b"\x00" * 100, b"\x1f\x8b\x08" + b"\x00" * 9):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"cannot be read as text|not a key"):
            read_ofa_tables([path], "t")
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(FileFormatError, match="larger than 16 MB"):
        read_ofa_tables([path], "t")
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(FileFormatError, match="cannot be read as text"):
        read_ofa_tables([tmp_path], "t")


@needs_files
@pytest.mark.parametrize("path", [NOTE10 / "160_lookup_table.yaml", PIXEL1])
def test_a_truncated_table_is_shorter_or_refused(path: Path, tmp_path: Path):
    text = path.read_text()
    for end in range(7, len(text), len(text) // 40):
        (tmp_path / "t.yaml").write_text(text[:end])
        try:
            rows = read_ofa_tables([tmp_path / "t.yaml"], "t").rows
        except FileFormatError as error:
            message = str(error)
        else:
            message = ""
            assert len(rows) <= text[:end].count("mean") + 1
        assert message.isprintable()
