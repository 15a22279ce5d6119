"""Peak memory of a file in its runtime, in a process of its own."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

from supernet.children import Child
from supernet.errors import SupernetError
from supernet.export import exporter_of

__all__ = ["peak_memory"]

_RUNS = 3
_TIMEOUT_S = 120.0


def peak_memory(path: Path, image: tuple[int, int, int] | None = None) -> int | None:
    """Bytes that opening a file and running it on one thread add to a process, at most at once.

    The runtime itself is loaded before. None where the process ends without an answer.

    Args:
        path: of a file whose format runs here.
        image: channels, rows, columns where these may vary.
    """
    child = Child(_measured, (path, image), anew=True)
    try:
        if not child.pipe.poll(_TIMEOUT_S):
            return None
        found = child.pipe.recv()
    except EOFError:
        return None
    finally:
        child.end()
    return int(found) if found is not None else None


def _measured(asked: tuple[Path, tuple[int, int, int] | None], pipe: Any) -> None:
    path, image = asked
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stderr.fileno() if sys.stderr else 2)
    try:
        made = exporter_of(path)
        before = _resident()
        _forget_peak()
        run = made.open(path).runner(image)
        for _ in range(_RUNS):
            run()
        pipe.send(max(0, _peak() - before))
    except SupernetError:
        pipe.send(None)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _forget_peak() -> None:
    """Have the system's record of the peak begin anew, where it can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
