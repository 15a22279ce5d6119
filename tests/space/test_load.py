"""Spaces as YAML files."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError, FileFormatError
from supernet.space import Space, at_width, list_spaces, load_space, operators_of, save_space
from tests.shipped import ALWAYS

FILE = """\
format: supernet.space
version: 1
name: mine
resolutions: 16
stem: {width: 8}
stages:
  - {width: [8, 16], depth: 1}
head: {}
"""


def test_the_shipped_spaces_load_by_name() -> None:
    assert {"demo", "mobilenet_v3"} <= set(list_spaces())
    for name in list_spaces():
        assert load_space(name).name == name
        assert load_space(name).about


def test_those_that_are_always_tested_have_all_that_there_is(mixed_space: Space) -> None:
    def kinds(*spaces: Space) -> set[tuple[str, ...]]:
        found = (operator for space in spaces for operator in operators_of(space))
        return {(o.op, o.shortcut, o.gate, o.padding) for o in found}

    always = kinds(mixed_space, *map(load_space, ALWAYS))
    assert kinds(*map(load_space, list_spaces())) <= always


def test_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(ConfigError, match="unknown space 'dem'; did you mean 'demo'") as caught:
        load_space("dem")
    assert "supernet spaces" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "width", "found"),
    [
        ("mobilenet_v3", None, "mobilenet_v3"),
        ("mobilenet_v3", 1.0, "mobilenet_v3"),
        ("mobilenet_v3", 1.2, "mobilenet_v3_w1.2"),
        ("mobilenet_v3_w1.2", 1.2, "mobilenet_v3_w1.2"),
        ("proxyless", 1.3, "proxyless"),
        ("proxyless", 1, "proxyless_w1.0"),
        ("demo", None, "demo"),
    ],
)
def test_a_space_is_found_at_its_widths(name: str, width: float | None, found: str) -> None:
    assert at_width(name, width) == load_space(found)


@pytest.mark.parametrize(
    ("name", "width", "text"),
    [
        ("mobilenet_v3", 9, r"'mobilenet_v3' has no width 9; known: 1\.0, 1\.2"),
        ("proxyless", float("nan"), r"has no width nan; known: 1\.0, 1\.3"),
        ("mobilenet_v3_w1.2", 1.0, "known: none"),
        ("demo", 1.0, "known: none"),
        ("", 1.0, "unknown space ''"),
        ("v3", 1.2, "unknown space 'v3'"),
        ("../presets/demo", 1.2, "unknown space"),
    ],
)
def test_another_width_is_refused(name: str, width: float, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        at_width(name, width)


def test_a_file_has_the_width_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    assert at_width(str(path), None).name == "mine"
    with pytest.raises(ConfigError, match="known: none"):
        at_width(str(path), 1.2)


def test_a_short_file_is_filled_with_the_documented_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    space = load_space(str(path))
    assert space == load_space(path)
    assert (space.resolutions, space.stem.width, space.stages[0].depth) == ((16,), (8,), (1,))
    assert (space.stages[0].kernel, space.stages[0].expand) == ((3,), (6,))


def test_a_saved_space_is_the_same_space(tmp_path: Path, any_space: Space) -> None:
    save_space(any_space, tmp_path / "a.yaml")
    again = load_space(tmp_path / "a.yaml")
    assert again == any_space
    assert again.hash == any_space.hash
    assert repr(again) == repr(any_space)


@given(
    about=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    name=st.sampled_from(["null", "true", "1e3", "0x10", "12", "no", "a-b.c_d", "1_0"]),
)
def test_any_text_survives_yaml(
    tmp_path_factory: pytest.TempPathFactory, demo_space: Space, about: str, name: str
) -> None:
    path = tmp_path_factory.mktemp("spaces") / "a.yaml"
    space = replace(demo_space, about=about, name=name)
    save_space(space, path)
    assert load_space(path) == space


def test_every_problem_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = FILE.replace("{width: 8}", "{widht: 8}").replace("depth: 1", "depth: 1, kernel: 4")
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_space(path)
    assert caught.value.problems == [
        f"{path}: stem.widht: unknown key; did you mean 'width'?",
        f"{path}: stem.width: missing",
        f"{path}: stages[0].kernel: choices must be odd and from 1 to 15, found [4]",
    ]


def test_what_is_no_space_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_space(tmp_path / "missing.yaml")
    (tmp_path / "other.yaml").write_text("format: supernet.recipe\nversion: 1\n")
    with pytest.raises(FileFormatError, match=r"expected format 'supernet\.space'"):
        load_space(tmp_path / "other.yaml")
