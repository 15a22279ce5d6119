"""What is shipped is found by name, what is yours by path."""

from pathlib import Path

import pytest

from supernet.errors import ConfigError
from supernet.presets import list_presets, load_preset

SPACES = "supernet.space.presets"


def load(name: str | Path) -> Path:
    return load_preset(name, lambda path: path, package=SPACES, kind="space", hint="look")


def test_names_have_no_suffix_and_only_their_own_kind_counts() -> None:
    assert {"demo", "mobilenet_v3_w1.2"} <= set(list_presets(SPACES))
    assert "__init__" not in list_presets(SPACES)
    assert list_presets(SPACES, ".json") == []
    assert "mobile_cpu" in list_presets("supernet.latency_tables", ".json")


def test_a_name_is_a_shipped_file_and_a_path_is_itself() -> None:
    assert load("demo").name == "demo.yaml"
    assert load("mine/demo.yml") == Path("mine/demo.yml")
    assert load(Path("demo")) == Path("demo")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dem", r"^unknown space 'dem'; did you mean 'demo'[?](\n|$)"),
        ("../presets/demo", "unknown space"),
        ("", "^unknown space ''; the nearest of [0-9]+: [a-z]"),
    ],
)
def test_an_unknown_name_says_where_to_look(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        load(name)
    assert caught.value.hint == "look, or give the path of a YAML file"
