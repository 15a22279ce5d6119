"""What a runtime must be able to do to be measured."""

from __future__ import annotations

import abc
import os
from typing import Any, Callable, Sequence

from supernet.errors import ConfigError

__all__ = ["Backend", "Run"]

Run = Callable[[], None]
"""Runs a model once and returns when its output is there."""


class Backend(abc.ABC):
    """A runtime with its settings; the measuring code opens one and loads every model in it.

    Args:
        threads: threads that one model may use.
        precision: one of `precisions`.
        batch: images at once.
        device: one of `devices`.
    """

    name: str
    """As in `BACKENDS`."""
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[str, ...] = ("cpu",)

    def __init__(
        self, *, threads: int = 1, precision: str = "fp32", batch: int = 1, device: str = "cpu"
    ) -> None:
        name = self.name
        if precision not in self.precisions:
            known = ", ".join(self.precisions)
            raise ConfigError(f"precision: {name} measures {known}, found {precision!r}")
        if device not in self.devices:
            known = ", ".join(self.devices)
            raise ConfigError(f"device: {name} measures on {known}, found {device!r}")
        if threads < 1 or batch < 1:
            raise ConfigError(f"threads and batch: must be at least 1, found {threads}, {batch}")
        cores = os.cpu_count() or threads
        if threads > cores:
            raise ConfigError(f"threads: this machine has {cores} cores, found {threads}")
        self.threads, self.precision, self.batch, self.device = threads, precision, batch, device
        self._open()

    @property
    def on_calling_thread(self) -> bool:
        """Whether all work is done by the thread that calls: its CPU time is then the time."""
        return self.threads == 1 and self.device == "cpu"

    @abc.abstractmethod
    def _open(self) -> None:
        """Import the runtime and find the device; called once, before anything else.

        Raises:
            MissingPackageError: the runtime or the device is not there; names what to
                install.
        """

    @abc.abstractmethod
    def load(self, operators: Sequence[Any]) -> Run:
        """Operators that follow each other (`Operator` or `Spec`), ready to run.

        Called before every visit of a model, so that no two visits share their memory
        layout, and not timed.
        """

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """`runtime`, `runtime_version`, `provider`, on a GPU `gpu`: what identifies a table."""
