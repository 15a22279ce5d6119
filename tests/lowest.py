"""Prints constraints for pip: of each dependency the lowest version that pyproject.toml names.

Run by ``make lowest``. Tools for development are taken as they come.
"""

import sys
import tomllib
from pathlib import Path

__all__ = ["lowest"]


def lowest(dependencies: list[str]) -> list[str]:
    """``name==version`` for each ``name>=version``; others have no lowest one."""
    return [wanted.replace(">=", "==") for wanted in dependencies if ">=" in wanted]


if __name__ == "__main__":
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{line}\n" for line in lowest(settings["project"]["dependencies"]))
