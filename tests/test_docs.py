"""What the documents show works: Python blocks run, YAML blocks load."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from supernet.space import load_space
from supernet.train import load_recipe

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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


def test_the_example_recipe_loads(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(_blocks(ROOT / "docs/recipe.md", "yaml")[0])
    assert load_recipe(tmp_path / "recipe.yaml").name == "my_recipe"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_space_of_the_tutorial_loads(tmp_path: Path):
    (tmp_path / "small.yaml").write_text(_blocks(ROOT / "docs/tutorial.md", "yaml")[0])
    assert load_space(tmp_path / "small.yaml").name == "small"
