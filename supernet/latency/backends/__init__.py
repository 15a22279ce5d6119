"""Runtimes that operators and networks can be timed in; one file each.

To add one: a file here with a class that fills `Backend`, and a line in `BACKENDS`. The
tests of the contract then run over it.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from supernet.errors import ConfigError, MissingPackageError
from supernet.latency.backends.contract import Backend, Run

__all__ = ["BACKENDS", "Backend", "Run", "backend_class", "installed", "open_backend"]

BACKENDS: dict[str, str] = {
    "onnxruntime": "OnnxRuntime",
    "openvino": "OpenVino",
    "torch": "Torch",
}
"""Name (also of the file) and class."""


def backend_class(name: str) -> type[Backend]:
    """The class of a backend; its runtime is not imported yet.

    Raises:
        ConfigError: no such backend, or one that this kit does not carry.
    """
    known = [name for name in BACKENDS if importlib.util.find_spec(f"{__name__}.{name}")]
    if name not in known:
        raise ConfigError(f"backend: no {name!r} here", hint=f"known: {', '.join(known)}")
    module = importlib.import_module(f"{__name__}.{name}")
    found: type[Backend] = getattr(module, BACKENDS[name])
    return found


def open_backend(name: str, **options: Any) -> Backend:
    """A backend, ready to load models.

    Args:
        name: one of `BACKENDS`.
        options: `threads`, `precision`, `batch`, `device`, as in `Backend`.

    Raises:
        MissingPackageError: its runtime is not installed, or the device is not there.
        ConfigError: an unknown name, or options that the runtime does not have.
    """
    return backend_class(name)(**options)


def installed() -> list[str]:
    """Names of the backends whose runtime can be used here."""
    found = []
    for name in BACKENDS:
        try:
            open_backend(name)
        except (MissingPackageError, ConfigError):
            continue
        found.append(name)
    return found
