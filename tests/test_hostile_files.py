"""No file, however damaged, gets past its reader with anything but our own errors."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import HeldOut, LatencyTable, Row
from supernet.predict import AccuracyPredictor
from supernet.space import (
    Space,
    SubnetFile,
    largest_subnet,
    load_space,
    operators_of,
    sample,
)
from supernet.space.load import save_space

KINDS = ("space", "subnet", "latency_table", "predictor")
SUFFIX = {"space": ".yaml"}

# Keys stay printable: what a message quotes of them is another matter.
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.sampled_from([-1, 0, 2**31, 2**62, 0.5, -1.5, 1e308, "", "8", "relu", "mbconv"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@dataclass(frozen=True)
class Kind:
    """A file format: a valid file of it, and its reader."""

    path: Path
    text: str
    load: Callable[[Path], object]


@pytest.fixture(scope="session")
def formats(tmp_path_factory: pytest.TempPathFactory, tiny_space: Space) -> dict[str, Kind]:
    folder = tmp_path_factory.mktemp("formats")
    paths = {kind: folder / f"{kind}{SUFFIX.get(kind, '.json')}" for kind in KINDS}
    save_space(tiny_space, paths["space"])
    known: dict[str, Any] = {"checkpoint": {"path": "a", "sha256": "0"}, "predicted": {"top1": 1.5}}
    SubnetFile.of(tiny_space, largest_subnet(tiny_space), **known).save(paths["subnet"])
    rows = {o: Row(operator=o, ms=0.1, spread_ms=0.01) for o in operators_of(tiny_space)[:5]}
    held_out = HeldOut(predicted_ms=(1.0, 2.0), measured_ms=(1.1, 1.9))
    LatencyTable(target="t", device={"a": "b"}, rows=rows, held_out=held_out).save(
        paths["latency_table"]
    )
    rng = np.random.default_rng(0)
    AccuracyPredictor(tiny_space, sample(tiny_space, 8, rng), rng.uniform(50, 90, 8)).save(
        paths["predictor"]
    )
    loaders: dict[str, Callable[[Path], object]] = {
        "space": load_space,
        "subnet": SubnetFile.load,
        "latency_table": LatencyTable.load,
        "predictor": lambda path: AccuracyPredictor.load(path, tiny_space),
    }
    return {kind: Kind(paths[kind], paths[kind].read_text(), loaders[kind]) for kind in KINDS}


def read(kind: Kind, content: str | bytes) -> bool:
    """Whether `content` is accepted; anything but one of our one-line errors fails."""
    path = kind.path.with_name(f"hostile{kind.path.suffix}")
    path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="replace"))
    try:
        kind.load(path)
    except (FileFormatError, ConfigError) as error:
        lines = error.problems if isinstance(error, ConfigError) else [str(error)]
        assert all(line and "\n" not in line for line in lines)
        return False
    return True


def body_of(kind: Kind) -> Any:
    """The valid document as plain data; JSON is YAML, so every format can be written as it."""
    if kind.path.suffix == ".json":
        return json.loads(kind.text)
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(kind.text)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below `node`."""
    if not isinstance(node, dict | list):
        return []
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    return [(node, key) for key in keys] + [at for key in keys for at in places(node[key])]


@pytest.mark.parametrize("name", KINDS)
def test_the_valid_file_is_accepted(formats: dict[str, Kind], name: str) -> None:
    assert read(formats[name], formats[name].text)
    assert read(formats[name], json.dumps(body_of(formats[name])))


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
@settings(max_examples=60)
def test_one_value_replaced_by_junk(
    formats: dict[str, Kind], name: str, data: st.DataObject
) -> None:
    body = body_of(formats[name])
    container, key = data.draw(st.sampled_from(places(body)))
    container[key] = data.draw(JUNK)
    read(formats[name], json.dumps(body))


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_one_value_removed(formats: dict[str, Kind], name: str, data: st.DataObject) -> None:
    body = body_of(formats[name])
    container, key = data.draw(st.sampled_from(places(body)))
    del container[key]
    read(formats[name], json.dumps(body))


@pytest.mark.parametrize("name", KINDS)
@given(key=KEYS, value=JUNK)
def test_one_unknown_key_is_always_refused(
    formats: dict[str, Kind], name: str, key: str, value: Any
) -> None:
    assert not read(formats[name], json.dumps(body_of(formats[name]) | {f"x{key}": value}))


@pytest.mark.parametrize("name", KINDS)
@given(body=st.dictionaries(KEYS, JUNK, max_size=4))
def test_a_right_header_over_junk_is_refused(
    formats: dict[str, Kind], name: str, body: dict[str, Any]
) -> None:
    header = {"format": f"supernet.{name}", "version": 1}
    assert not read(formats[name], json.dumps(body | header))


@pytest.mark.parametrize("name", KINDS)
@given(content=JUNK.map(json.dumps) | st.text(max_size=60) | st.binary(max_size=60))
def test_what_is_no_such_file_is_refused(
    formats: dict[str, Kind], name: str, content: str | bytes
) -> None:
    assert not read(formats[name], content)


@pytest.mark.parametrize("name", KINDS)
@given(share=st.floats(0, 0.999))
def test_a_truncated_file(formats: dict[str, Kind], name: str, share: float) -> None:
    kind = formats[name]
    accepted = read(kind, kind.text.rstrip()[: int(share * len(kind.text.rstrip()))])
    assert not accepted or kind.path.suffix == ".yaml"  # a shorter YAML may be complete


@pytest.mark.parametrize("name", [kind for kind in KINDS if kind not in SUFFIX])
@pytest.mark.parametrize("constant", [float("nan"), float("inf"), float("-inf")])
def test_json_constants_that_are_no_numbers_are_refused_anywhere(
    formats: dict[str, Kind], name: str, constant: float
) -> None:
    for number in range(0, len(places(body_of(formats[name]))), 7):
        changed = body_of(formats[name])
        container, key = places(changed)[number]
        container[key] = constant
        assert not read(formats[name], json.dumps(changed))


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", str(10**400), "1" * 5000])
@pytest.mark.parametrize("key", ["bn_eps", "bn_momentum", "resolutions", "num_classes", "name"])
def test_a_space_refuses_numbers_out_of_range(
    formats: dict[str, Kind], key: str, value: str
) -> None:
    text = "\n".join(
        f"{key}: {value}" if line.startswith(f"{key}:") else line
        for line in formats["space"].text.splitlines()
    )
    assert text.rstrip() != formats["space"].text.rstrip()
    assert not read(formats["space"], text)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_deeply_nested_file_is_refused(formats: dict[str, Kind], name: str, opening: str) -> None:
    assert not read(formats[name], opening * 50_000)
    header = f'{{"format": "supernet.{name}", "version": 1, "a": '
    assert not read(formats[name], header + opening * 400)


def test_recursive_yaml_is_refused(formats: dict[str, Kind]) -> None:
    header = "format: supernet.space\nversion: 1\n"
    assert not read(formats["space"], f"{header}stages: &a [*a]\n")
    assert not read(formats["space"], f"&a\n{header}stem: *a\n")
