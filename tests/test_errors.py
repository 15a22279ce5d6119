"""Every error is of a builtin kind too, and has its exit code."""

import pytest

from supernet import errors
from supernet.errors import ConfigError, SupernetError


@pytest.mark.parametrize(
    ("name", "builtin", "exit_code"),  # the exit codes are those of DESIGN.md
    [
        ("BusyError", ValueError, 2),
        ("ConfigError", ValueError, 2),
        ("DataError", ValueError, 2),
        ("ExportError", RuntimeError, 1),
        ("FileFormatError", ValueError, 2),
        ("InfeasibleError", ValueError, 4),
        ("MissingPackageError", ImportError, 3),
        ("StorageError", OSError, 1),
        ("TrainingError", RuntimeError, 1),
        ("UnfinishedError", RuntimeError, 1),
    ],
)
def test_each_error_is_also_a_builtin_kind(
    name: str, builtin: type[Exception], exit_code: int
) -> None:
    error = getattr(errors, name)("what went wrong", hint="the way out")
    assert isinstance(error, SupernetError)
    assert isinstance(error, builtin)
    assert (str(error), error.hint) == ("what went wrong", "the way out")
    assert error.exit_code == exit_code
    assert error.__notes__ == ["the way out"]  # what Python shows below the message


def test_every_public_error_is_tested_above() -> None:
    assert len(errors.__all__) == 10 + 1  # and the root


def test_config_error_keeps_all_problems() -> None:
    assert ConfigError("one").problems == ["one"]
    both = ConfigError(["one", "two"])
    assert both.problems == ["one", "two"]
    assert str(both) == "one; two"
