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
from supernet.latency import HeldOut, LatencyTable, ModelError, OperatorModel, Row
from supernet.latency.ofa import read_ofa_tables
from supernet.predict import AccuracyPairs, Input, MLPPredictor, fit_predictor, load_predictor
from supernet.space import (
    Space,
    SubnetFile,
    largest_subnet,
    load_space,
    operators_of,
    sample,
)
from supernet.space.load import save_space
from supernet.space.net_config import read_bn_eps, read_net_config, read_run_config

KINDS = ("space", "subnet", "latency_table", "predictor", "mlp_predictor")
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
    model = OperatorModel(
        coefficients={"taps": 0.5, "matmul": 0.1}, source="a", operators=2, borrowed=("taps",),
        kinds={"conv k3": (1.0, 2.0)}, activations=("relu",), error=ModelError(rows_mape=1.0),
    )  # fmt: skip
    LatencyTable(target="t", device={"a": "b"}, rows=rows, held_out=held_out, model=model).save(
        paths["latency_table"]
    )
    rng = np.random.default_rng(0)
    genes, top1 = sample(tiny_space, 8, rng), rng.uniform(50, 90, 8)
    pairs = AccuracyPairs(space=tiny_space, genes=genes, top1=top1)
    fit_predictor(pairs, "ridge").save(paths["predictor"])
    inputs = [Input(dimension="resolution", value=16), Input(dimension="stem.width", value=8)]
    layers = [(np.ones((n, 2), np.float32), np.ones(n, np.float32)) for n in (2, 1)]
    MLPPredictor(tiny_space, inputs, layers, {"source": "a"}).save(paths["mlp_predictor"])
    loaders: dict[str, Callable[[Path], object]] = {
        "space": load_space,
        "subnet": SubnetFile.load,
        "latency_table": LatencyTable.load,
        "predictor": lambda path: load_predictor(path, tiny_space),
        "mlp_predictor": lambda path: MLPPredictor.load(path, tiny_space),
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


@pytest.mark.parametrize("name", KINDS)
def test_halves_of_characters_are_refused(formats: dict[str, Kind], name: str) -> None:
    for container, key in places(body := body_of(formats[name])):
        if isinstance(container[key], str):
            before, container[key] = container[key], "\ud800"
            assert not read(formats[name], json.dumps(body))
            container[key] = before


@pytest.mark.parametrize("leaf", ["a", '"\\u0061"'])
def test_yaml_that_names_its_parts_many_times_takes_no_time(
    formats: dict[str, Kind], leaf: str
) -> None:
    """Nine to the power of 50 leaves, were they written out."""
    lines = [
        f"a0: &a0 {leaf}",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 50)),
    ]
    text = "\n".join(["format: supernet.space", "version: 1", *lines])
    assert not read(formats["space"], text)
    assert not read(formats["space"], f"{text}\nstages: *a49\nresolutions: *a49\nname: *a49\n")


# Files of others
CONV = {"in_channels": 3, "out_channels": 8, "kernel_size": 3, "stride": 2, "act_func": "relu"}
NEXT = CONV | {"in_channels": 8, "stride": 1}
MBCONV = {"name": "MBConvLayer", "in_channels": 8, "out_channels": 8, "stride": 1}
BOTTLENECK = {"in_channels": 8, "out_channels": 16, "stride": 2, "mid_channels": 8, "groups": 1}
LATENCIES = """\
Conv-input:32x32x3-output:16x16x8:
  mean: 0.5
  std: 0.01
expanded_conv-input:16x16x8-output:16x16x8-expand:24-kernel:3-stride:1-idskip:1-se:1-hs:0:
  mean: 1.5
Logits-input:1x1x16-output:1000:
  count: 3
  mean: 1
"""
FOREIGN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "mobilenet": (
        json.dumps(
            {
                "name": "MobileNetV3",
                "bn": {"eps": 1e-3},
                "first_conv": CONV,
                "blocks": [{"conv": MBCONV, "shortcut": {"name": "IdentityLayer"}}],
                "final_expand_layer": CONV | {"in_channels": 8, "out_channels": 16},
                "feature_mix_layer": {"in_channels": 16, "out_channels": 16, "use_bn": False},
                "classifier": {"in_features": 16, "out_features": 10},
            }
        ),
        lambda path: (read_net_config(path, 32), read_bn_eps(path)),
    ),
    "resnet": (
        json.dumps(
            {
                "name": "ResNets",
                "input_stem": [
                    CONV | {"name": "ConvLayer"},
                    {"name": "ResidualBlock", "conv": NEXT},
                    NEXT | {"name": "ConvLayer"},
                ],
                "blocks": [BOTTLENECK],
                "classifier": {"in_features": 16, "out_features": 10},
            }
        ),
        lambda path: read_net_config(path, 32),
    ),
    "run": ('{"image_size": 224, "n_epochs": 150}', read_run_config),
    "latencies": (LATENCIES, lambda path: read_ofa_tables([path], "theirs")),
}
CONFIGS = ("mobilenet", "resnet", "run")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    folder = tmp_path_factory.mktemp("foreign")
    return {
        name: Kind(folder / f"{name}.config", text, load) for name, (text, load) in FOREIGN.items()
    }


@pytest.mark.parametrize("name", FOREIGN)
def test_the_valid_foreign_file_is_accepted(foreign: dict[str, Kind], name: str) -> None:
    assert read(foreign[name], foreign[name].text)


@pytest.mark.parametrize("name", CONFIGS)
@given(data=st.data())
@settings(max_examples=60)
def test_one_value_of_a_config_replaced_by_junk(
    foreign: dict[str, Kind], name: str, data: st.DataObject
) -> None:
    body = json.loads(foreign[name].text)
    container, key = data.draw(st.sampled_from(places(body)))
    if data.draw(st.booleans()):
        container[key] = data.draw(JUNK)
    else:
        del container[key]
    read(foreign[name], json.dumps(body))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("number", ["1" * 1_000_000, "-1e999", "NaN", "1" * 30, "1e300", "-0.5"])
def test_numbers_out_of_range_are_refused_anywhere(
    foreign: dict[str, Kind], name: str, number: str
) -> None:
    for place in range(len(places(json.loads(foreign[name].text)))):
        body = json.loads(foreign[name].text)
        container, key = places(body)[place]
        if type(container[key]) is int and key != "n_epochs":  # what is not asked for may be any
            container[key] = "NUMBER"
            text = json.dumps(body).replace('"NUMBER"', number)
            if name == "run" and number == "1" * 30:
                continue  # a whole number; `read_net_config` refuses it
            assert not read(foreign[name], text)


@pytest.mark.parametrize("name", FOREIGN)
@given(content=JUNK.map(json.dumps) | st.text(max_size=60) | st.binary(max_size=60))
def test_what_is_no_such_foreign_file_is_refused(
    foreign: dict[str, Kind], name: str, content: str | bytes
) -> None:
    assert not read(foreign[name], content)


@pytest.mark.parametrize("name", FOREIGN)
@given(data=st.data())
@settings(max_examples=60)
def test_a_foreign_file_with_changed_characters(
    foreign: dict[str, Kind], name: str, data: st.DataObject
) -> None:
    text = foreign[name].text
    start = data.draw(st.integers(0, len(text) - 1))
    end = start + data.draw(st.integers(0, 6))
    read(foreign[name], text[:start] + data.draw(st.text(max_size=6)) + text[end:])
    read(foreign[name], text[:start])


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("opening", ["[", '{"name":', "a:\n ", "- ", "&a [*a]\n"])
def test_a_deeply_nested_foreign_file_is_refused(
    foreign: dict[str, Kind], name: str, opening: str
) -> None:
    assert not read(foreign[name], opening * 50_000)


@given(
    layer=st.sampled_from(["Conv", "Conv_1", "Conv_2", "expanded_conv", "MBConv", "Logits", "X"]),
    shapes=st.tuples(*[st.integers(0, 99_999) | st.sampled_from([1, 3, 7, 8, 16])] * 6),
    fields=st.dictionaries(
        st.sampled_from(["expand", "kernel", "stride", "idskip", "se", "hs", "x"]),
        st.sampled_from(["0", "1", "3", "8", "24", "99999", "0.5", "3.0001"]),
    ),
    numbers=st.dictionaries(
        st.sampled_from(["mean", "std", "var", "count"]),
        st.sampled_from(
            ["0", "1", "1e-9", "1e300", "-1", ".nan", "inf", "9" * 9999, "!!py", "0x1"]
        ),
        min_size=1,
    ),
)
@settings(max_examples=100)
def test_any_row_of_latencies(
    foreign: dict[str, Kind],
    layer: str,
    shapes: tuple[int, ...],
    fields: dict[str, str],
    numbers: dict[str, str],
) -> None:
    h, w, c, h2, w2, c2 = shapes
    rest = "".join(f"-{name}:{value}" for name, value in fields.items())
    body = "".join(f"  {name}: {value}\n" for name, value in numbers.items())
    text = f"{layer}-input:{h}x{w}x{c}-output:{h2}x{w2}x{c2}{rest}:\n{body}"
    read(foreign["latencies"], LATENCIES + text)
