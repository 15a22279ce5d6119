"""Converters that are Python packages, called in a process of their own with a time limit.

They may die or hang: this process outlives them, and tells their last lines.
"""

import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from supernet.export.commands import died, too_slow
from supernet.export.contract import Source
from supernet.export.quiet import heard

from supernet.children import Child, without_script
from supernet.errors import SupernetError

__all__ = ["call_apart", "sent"]

_LIMIT_S = 1800.0
_DIED = 1

Given = ParamSpec("Given")
Result = TypeVar("Result")


def call_apart(
    title: str, function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs
) -> Result:
    """What a function gives that is called in a process of its own.

    It is called in this one where that is such a process already, and where no other one could be
    told what is given: networks whose classes the script of the user defines.

    Args:
        title: of what it makes, for messages.
        function: of a module; what it raises is raised here.
        given: to it; what it changes of that is not seen here.
        named: likewise.

    Raises:
        ExportError: the process died, or was ended since it took too long; with its last lines.
    """
    data = None
    if not multiprocessing.current_process().daemon:
        data = _pickled((function, given, named))
    if data is None:
        return function(*given, **named)
    with TemporaryDirectory() as folder:
        printed = Path(folder) / "printed"
        printed.touch()
        answer = _answer(title, data, printed)
    if isinstance(answer, Exception):
        raise answer
    result: Result = answer
    return result


def sent(source: Source) -> Source:
    """The same with all that a converter reads of it; what is made when asked for is made."""
    return replace(source, calibration=[batch.cpu() for batch in source.calibration], holdout=None)


def _pickled(call: tuple[Any, ...]) -> bytes | None:
    """What another process is told; None where it cannot be."""
    try:
        with without_script():
            return pickle.dumps(call)
    except (pickle.PicklingError, AttributeError, TypeError):  # of classes within functions, too
        return None


def _answer(title: str, data: bytes, printed: Path) -> Any:
    with without_script():
        child = Child(_called, data, str(printed))
    try:
        if not child.pipe.poll(_LIMIT_S):
            raise too_slow(title, _LIMIT_S, printed.read_text(errors="replace"))
        try:
            received = child.pipe.recv_bytes()
        except (EOFError, OSError):  # it ended before it answered
            status = child.status() or _DIED
            raise died(title, status, printed.read_text(errors="replace")) from None
    finally:
        child.end()
    return pickle.loads(received)  # noqa: S301  # of our own process


def _called(data: bytes, printed: str, pipe: Any) -> None:
    """In the process of its own: the answer, or the error that is for the user."""
    heard(printed)
    answer: Any
    try:
        function, given, named = pickle.loads(data)  # noqa: S301  # of our own process
        answer = function(*given, **named)
    except (SupernetError, OSError) as error:
        answer = error
    pipe.send_bytes(pickle.dumps(answer))
