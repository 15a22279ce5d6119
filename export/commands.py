"""Converters that are programs of their own: with a time limit, and heard if they fail.

They end with this process, also where that is killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from supernet.export.quiet import last_lines

from supernet.errors import ExportError

__all__ = ["died", "run_converter", "too_slow"]

_LOOK_S = 0.2
_GUARD = """
import os, signal, subprocess, sys, threading
def wait():
    sys.stdin.buffer.read()  # ends when who started this one ends, however that is
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=wait, daemon=True).start()
status = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL).wait()
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""
"""Stands between a converter and this process, and ends it with this one."""


def run_converter(
    command: Sequence[str],
    *,
    title: str,
    folder: Path,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    each_look: Callable[[], None] = lambda: None,
) -> str:
    """What a converter printed, once it has ended well.

    Args:
        command: the program and its arguments.
        title: of what it makes, for messages.
        folder: in which it works.
        limit_s: seconds, after which it and what it started are ended.
        environment: variables added to those of this process.
        each_look: called now and then while it runs.

    Raises:
        ExportError: it is not there, failed or was ended; with its last lines.
    """
    if shutil.which(command[0]) is None:
        raise ExportError(f"{title}: {command[0]} cannot be started: no such program")
    with tempfile.TemporaryFile() as kept:
        child = subprocess.Popen(  # noqa: S603  # programs of ours and of installed packages
            [sys.executable, "-I", "-S", "-c", _GUARD, *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=kept,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # so that what it starts is ended with it
        )
        try:
            ended = _waited(child, time.monotonic() + limit_s, each_look)
        finally:
            _end(child)
        kept.seek(0)
        text = kept.read().decode(errors="replace")
    if not ended:
        raise too_slow(title, limit_s, text)
    if child.returncode:
        raise died(title, child.returncode, text)
    return text


def too_slow(title: str, limit_s: float, text: str) -> ExportError:
    """The error of a converter that was ended.

    Args:
        title: of what it makes.
        limit_s: seconds that it had.
        text: that it printed.
    """
    return ExportError(
        f"{title}: the converter was ended after {limit_s:g} s{_quoted(text)}",
        hint="try again when the machine is less busy, or leave this format out",
    )


def died(title: str, status: int, text: str) -> ExportError:
    """The error of a converter that failed.

    Args:
        title: of what it makes.
        status: that it ended with; below 0 the signal that killed it.
        text: that it printed.
    """
    return ExportError(
        f"{title}: the converter {_how(status)}{_quoted(text)}",
        hint="leave this format out, and report these lines with the subnet.json",
    )


def _waited(child: subprocess.Popen[bytes], until: float, each_look: Callable[[], None]) -> bool:
    """Whether it ended in time."""
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_LOOK_S)
            return True
        each_look()
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert child.stdin is not None
    child.stdin.close()


def _how(status: int) -> str:
    if status > 0:
        return f"failed with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _quoted(text: str) -> str:
    lines = last_lines(text)
    return f"; its last lines:\n{lines}" if lines else "; it printed nothing"
