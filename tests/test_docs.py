"""What the documents show works: Python blocks run, YAML blocks load."""

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from supernet.cli.main import main
from supernet.space import Head, Space, Stage, Stem, load_space
from supernet.train import load_recipe

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in ("", "docs", "benchmarks", "latency_tables")
    for page in (ROOT / folder).glob("*.md")
)


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_first_python_example_of_the_readme_runs(tmp_path: Path):
    code = _blocks(ROOT / "README.md", "python")[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_example_space_loads(tmp_path: Path):
    (tmp_path / "space.yaml").write_text(_blocks(ROOT / "docs/space.md", "yaml")[0])
    assert load_space(tmp_path / "space.yaml").name == "my_space"


def test_the_example_space_is_shown_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "my_space.yaml"
    path.write_text(_blocks(ROOT / "docs/space.md", "yaml")[0])
    shown = CliRunner().invoke(main, ["spaces", "show", str(path)])
    lines = [line.rstrip() for line in shown.stdout.strip().splitlines()]
    assert lines == _blocks(ROOT / "docs/space.md", "text")[0].splitlines()


def _default(value: Any) -> str:
    """As the page writes it: a list of one as its value, nothing where there is none."""
    if value is MISSING:
        return ""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return _default(value[0]) if value else "[]"
    if isinstance(value, bool | str):
        return str(value).lower() or '""'
    return f"{value:g}"


def test_every_key_of_a_space_is_documented_with_its_default():
    expected: dict[str, str] = {}
    parts = {"": Space, "stem.": Stem, "stages[].": Stage, "head.": Head}
    for prefix, cls in parts.items():
        found = {prefix + field.name: _default(field.default) for field in fields(cls)}
        expected |= {key: value for key, value in found.items() if f"{key}." not in parts}
    del expected["stages"]
    page = (ROOT / "docs/space.md").read_text()
    keys = page[page.index("## Keys") : page.index("### Kinds of block")]
    documented: dict[str, str] = {}
    for row in re.findall(r"^\| (`.*) \|$", keys, re.MULTILINE):
        names, *_, default = re.split(r" ?\| ?", row)
        own = re.findall(r"`(.*?)`", names)
        documented |= dict(zip(own, default.split(", ") if default else [""] * len(own)))
    assert documented == expected


def test_the_example_recipe_loads(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(_blocks(ROOT / "docs/recipe.md", "yaml")[0])
    assert load_recipe(tmp_path / "recipe.yaml").name == "my_recipe"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    for link in links:
        name, _, heading = link.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), link
        if heading and path.suffix == ".md":
            assert heading in _anchors(path.read_text()), link


def _anchors(text: str) -> set[str]:
    """What leads to a page's headings, as GitHub makes it."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower().strip()).replace(" ", "-") for line in headings}


def test_the_space_of_the_tutorial_loads(tmp_path: Path):
    (tmp_path / "small.yaml").write_text(_blocks(ROOT / "docs/tutorial.md", "yaml")[0])
    assert load_space(tmp_path / "small.yaml").name == "small"
