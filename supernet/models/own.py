"""A network that a function of the user's own file gives: ``FILE.py:FUNCTION``."""

import functools
import importlib.util
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest
from supernet.models.published import Normalisation

__all__ = ["absolute_own", "is_own", "own_network", "own_normalisation"]


def is_own(source: str) -> bool:
    """Whether `source` names a function of a Python file."""
    file, _, function = source.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def absolute_own(source: str) -> str:
    """The same function, as it is found from any folder."""
    path, function = _parts(source)
    return f"{path.resolve()}:{function}"


def own_network(source: str) -> nn.Module:
    """What the function gives, called without arguments; its file is run as a program's module.

    Raises:
        FileFormatError: no such file, or one that does not run.
        ConfigError: no such function, or it gives no network.
    """
    path, function = _parts(source)
    module = _module(path)
    build = vars(module).get(function)
    if not callable(build):
        known = [name for name, value in vars(module).items() if callable(value)]
        raise ConfigError(f"{path}: no function {function!r} in it; {nearest(function, known)}")
    with _told(path), _imports_beside(path):
        network = build()
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{path}: {function}() gives {type(network).__name__}, not a network")
    return network


def own_normalisation(source: str) -> Normalisation:
    """``MEAN`` and ``STD`` of the file: one number, or one for each of three channels.

    Empty where it has neither.

    Raises:
        FileFormatError: no such file, or one that does not run.
        ConfigError: they are not that.
    """
    path, _ = _parts(source)
    names = vars(_module(path))
    if "MEAN" not in names and "STD" not in names:
        return (), ()
    mean, std = (_numbers(names.get(name)) for name in ("MEAN", "STD"))
    if len(mean) not in (1, 3) or len(mean) != len(std) or min(std) <= 0:
        raise ConfigError(
            f"{path}: MEAN and STD must have one number each, or one for each of three channels, "
            f"STD above 0; found {names.get('MEAN')!r} and {names.get('STD')!r}"
        )
    if max(map(abs, (*mean, *std))) > 1:
        raise ConfigError(
            f"{path}: MEAN and STD are of pixel values from 0 to 1, found {mean} and {std}",
            hint="divide by 255 what is of values from 0 to 255",
        )
    return mean, std


def _numbers(value: object) -> tuple[float, ...]:
    """Finite numbers of a sequence; empty where it is none, or holds others."""
    if not isinstance(value, Sequence) or not all(isinstance(v, float | int) for v in value):
        return ()
    return tuple(map(float, value)) if all(map(math.isfinite, value)) else ()


def _parts(source: str) -> tuple[Path, str]:
    file, _, function = source.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file")
    return path, function


def _module(path: Path) -> ModuleType:
    return _run(path.resolve(), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _run(path: Path, changed_ns: int) -> ModuleType:  # noqa: ARG001  # a changed file is run anew
    # under a name of its own: it may be called as a package is
    name = f"supernet_own_{path.stem}_{zlib.crc32(bytes(path)):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it there
    with _told(path), _imports_beside(path):
        spec.loader.exec_module(module)
    return module


_beside: dict[Path, dict[str, ModuleType]] = {}
"""Modules that files of a folder imported from it, by their names."""


@contextmanager
def _imports_beside(path: Path) -> Iterator[None]:
    """Modules of the file's folder are found, as where Python runs it.

    Those that another folder has under the same names are of files there alone.
    """
    folder = path.resolve().parent
    own = _beside.setdefault(folder, {})
    for other in _beside.values():
        for name, module in other.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
    sys.modules.update(own)
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in sys.modules.keys() - known:
            if _stands_in(sys.modules.get(name.partition(".")[0]), folder):
                own[name] = sys.modules[name]


def _stands_in(module: ModuleType | None, folder: Path) -> bool:
    """Whether a module's file, or a package's folder, is directly in a folder."""
    places = [*getattr(module, "__path__", [])] or [getattr(module, "__file__", None)]
    return any(place is not None and Path(place).resolve().parent == folder for place in places)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # whatever a stranger's file does
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileFormatError(f"{path}: does not run: {reason}") from error
