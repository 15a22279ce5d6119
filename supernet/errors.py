"""Every error a user can cause: the rule, the value, where, and the way out.

Each class is also a builtin kind, so that `except ValueError` works as people
expect, and carries the exit code with which the command line ends.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BusyError",
    "ConfigError",
    "DataError",
    "ExportError",
    "FileFormatError",
    "InfeasibleError",
    "MissingPackageError",
    "StorageError",
    "SupernetError",
    "TrainingError",
    "UnfinishedError",
]


class SupernetError(Exception):
    """Root of all errors of this library; `hint` says the way out."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(hint)  # below the message, where Python shows the error


class ConfigError(SupernetError, ValueError):
    """A value, option or YAML file that breaks a rule; holds every problem found."""

    exit_code = 2

    def __init__(self, problems: str | Sequence[str], *, hint: str = "") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems), hint=hint)


class BusyError(ConfigError):
    """A folder or file that another process is at work in."""


class FileFormatError(SupernetError, ValueError):
    """A file that is not what it should be: damaged, foreign, or of a newer version."""

    exit_code = 2


class DataError(SupernetError, ValueError):
    """Images that are missing, empty or unreadable."""

    exit_code = 2


class MissingPackageError(SupernetError, ImportError):
    """An optional package or a device that is not there."""

    exit_code = 3


class InfeasibleError(SupernetError, ValueError):
    """No subnet meets the limits; the message names the closest one."""

    exit_code = 4


class UnfinishedError(SupernetError, RuntimeError):
    """A search whose time was up before it had an answer; it can be gone on with."""


class StorageError(SupernetError, OSError):
    """The disk is full, read-only or otherwise refuses a write."""


class TrainingError(SupernetError, RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class ExportError(SupernetError, RuntimeError):
    """A converter or a runtime that failed, or a file that computes something else than torch."""
