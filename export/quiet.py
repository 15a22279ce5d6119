"""Converters talk to programmers: what they say is kept from the user, and told if they fail."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

__all__ = ["heard", "last_lines", "quiet", "reason"]

_HEARD: list[str] = []  # files that all of this process goes to, also what it says while it dies
_LINES = 8
_LONGEST = 300  # characters of a line


def heard(path: str) -> None:
    """From now on all that this process prints goes to a file, and `quiet` holds nothing back.

    Args:
        path: of the file, which is there.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = os.open(path, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(kept, number)
    os.close(kept)
    _HEARD.append(path)


@contextlib.contextmanager
def quiet() -> Iterator[Callable[[], str]]:
    """Nothing that is printed, logged or warned of within is seen.

    The descriptors of the process are led away, too, since runtimes in C++ print there: of other
    threads nothing is seen for as long, either.

    Yields:
        What tells all that was printed so far.
    """
    if _HEARD:
        yield lambda: Path(_HEARD[-1]).read_text(errors="replace")
        return
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryFile() as kept, _led_to(kept), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = io.StringIO()
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield lambda: _read(kept) + text.getvalue()
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _led_to(kept: IO[bytes]) -> Iterator[None]:
    """Standard output and error as the system knows them."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    saved: dict[int, int] = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):  # of a process that has none
            saved[number] = os.dup(number)
            os.dup2(kept.fileno(), number)
    try:
        yield
    finally:
        for number, old in saved.items():
            os.dup2(old, number)
            os.close(old)


def _read(kept: IO[bytes]) -> str:
    size = os.fstat(kept.fileno()).st_size
    return os.pread(kept.fileno(), size, 0).decode(errors="replace")


def last_lines(text: str, count: int = _LINES) -> str:
    """The end of what a program printed, without empty lines."""
    lines = [line.rstrip()[:_LONGEST] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def reason(error: BaseException, without: tuple[str, ...] = ()) -> str:
    """One line of an error of any package: its first, and its last one where that says more.

    Args:
        error: as it was caught.
        without: what lines begin with that say nothing to a user.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(without)]
    if not lines:
        return type(error).__name__
    ends = lines[0] if lines[-1] == lines[0] else f"{lines[0]} … {lines[-1]}"
    return ends[:_LONGEST]
