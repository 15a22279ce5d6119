"""Study files: YAML, checked as a whole, every problem in a line of its own."""

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.files import fill, read_document, write_document
from supernet.tune.order import order_problems
from supernet.tune.spec import Measured, Parameter, Study

__all__ = ["load_study", "save_study", "study_document", "study_from"]

_KIND, _VERSION = "study", 1


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Raises:
        FileFormatError: no such file, or not a study file.
        ConfigError: values that break rules, all at once, each with its key path.
    """
    path = Path(path)
    document = read_document(path, _KIND, _VERSION)
    try:
        return study_from(document)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def study_from(document: Mapping[str, Any]) -> Study:
    """A study from plain values, as they stand in its file.

    Raises:
        ConfigError: as `load_study`.
    """
    problems: list[str] = []
    given = document.get("parameters", {})
    if not isinstance(given, Mapping):
        raise ConfigError(f"parameters: expected a mapping, found {reprlib.repr(given)}")
    parameters: dict[str, Parameter] = {}
    for name, body in given.items():
        try:
            parameters[str(name)] = fill(Parameter, body, f"parameters.{name}")
        except ConfigError as error:
            problems += error.problems
    problems += order_problems(parameters, known=[str(name) for name in given])
    try:
        head = fill(_Head, document)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Study(**{**asdict(head), "parameters": parameters})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a study file says, its parameters still plain."""

    name: str
    about: str = ""
    subnet: Measured = "largest"
    genes: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)


def study_document(study: Study) -> dict[str, Any]:
    """A study as plain values; what was not given is left out."""
    usual = Parameter(choices=(0,))
    found: dict[str, Any] = {
        "name": study.name,
        "about": study.about,
        "subnet": study.subnet,
        "genes": study.genes,
        "parameters": {
            name: {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(parameter).items()
                if (key == "choices" and value)
                or (value != getattr(usual, key) and key != "choices")
            }
            for name, parameter in study.parameters.items()
        },
    }
    return found


def save_study(study: Study, path: Path) -> None:
    """Write a study as YAML."""
    write_document(path, _KIND, _VERSION, study_document(study))
