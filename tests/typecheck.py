"""Runs mypy over the whole project, `export/` under its installed name included.

Type checkers do not follow the import finder of an editable install. So the
folders that `package-dir` maps elsewhere are linked under `build/typing`, where
`[tool.mypy]` looks. Arguments are passed on to mypy.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def link_mapped_packages() -> None:
    """Make `build/typing/supernet/export` → `export`, and so on for each mapped package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package, folder in settings["tool"]["setuptools"]["package-dir"].items():
        place = Path(*package.split("."))
        if place == Path(folder):
            continue
        link = ROOT / "build" / "typing" / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(ROOT / folder, link.parent), target_is_directory=True)


if __name__ == "__main__":
    link_mapped_packages()
    sys.exit(subprocess.call([sys.executable, "-m", "mypy", *sys.argv[1:]], cwd=ROOT))
