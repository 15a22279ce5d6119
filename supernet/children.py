"""Processes that do not outlive the one that started them."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

__all__ = ["Child", "how_killed", "without_script"]

_END_S = 5.0  # for one that was told to end
_TEMPLATE = sys.platform == "linux"  # elsewhere what was loaded may not stand being copied
_SAFE_PATH = "PYTHONSAFEPATH"
_STARTING = threading.Lock()
_FAULTS = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
_SCRIPT = threading.Lock()
_LOADED = ("torch",)  # by the template: seconds of each process that starts anew


class Child:
    """A process with a pipe to it. It ends with this one, also where this one is killed.

    On Linux it is a copy of a process that has loaded PyTorch and done nothing else (the start
    method ``forkserver``): that takes milliseconds, and copies share what was loaded. They have
    this process's environment, but for what libraries read of it while they are loaded.

    Args:
        work: called there with `told`, and its end of the pipe last; must be picklable. Ctrl-C
            does not reach it: that is for this process, which ends it.
        told: what it is called with.
        anew: in an interpreter that has loaded nothing.
    """

    def __init__(self, work: Callable[..., None], *told: Any, anew: bool = False) -> None:
        copied = _TEMPLATE and not anew and _start_template(work.__module__)
        context: Any = multiprocessing.get_context("forkserver" if copied else "spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (dict(os.environ), work, *told, theirs)
        self._process = context.Process(target=_begin, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return bool(self._process.is_alive())

    def status(self) -> int:
        """Its exit status once the pipe is closed; below 0 the signal that killed it."""
        self._process.join(_END_S)
        return self._process.exitcode or 0

    def stop(self) -> None:
        """Have it end; whoever reads from the pipe meets its end."""
        self._process.terminate()

    def end(self) -> None:
        """Wait until it has ended, and free what it held."""
        self.pipe.close()
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def how_killed(status: int) -> str:
    """What ended a process, and the way out.

    Args:
        status: its exit status, which is below 0.
    """
    known = -status in {*signal.Signals}
    name = signal.Signals(-status).name if known else f"signal {-status}"
    if name == "SIGKILL":
        return (
            f"its process was killed ({name}), perhaps for want of memory: fewer --workers leave "
            "more to each"
        )
    if name in _FAULTS:
        return f"its process crashed ({name}), by a fault of a library that it uses"
    return f"its process was ended by somebody ({name})"


@contextlib.contextmanager
def without_script() -> Iterator[None]:
    """No child that is started within executes the script of this process for what it defines.

    What it defines cannot be pickled within, either.
    """
    with _SCRIPT:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


def _start_template(module: str) -> bool:
    """Start the process that others are copies of, if it does not run; whether it could be.

    Modules are not looked for in the working directory, where a user may have a ``random.py``.
    It is reached by a socket in the folder of temporary files, whose path must not be long.
    """
    from multiprocessing import forkserver  # not everywhere

    with _STARTING:
        forkserver.set_forkserver_preload([*_LOADED, module])
        before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        try:
            forkserver.ensure_running()
        except OSError:
            return False
        finally:
            del os.environ[_SAFE_PATH]
            if before is not None:
                os.environ[_SAFE_PATH] = before
    return True


def _begin(environment: Mapping[str, str], work: Callable[..., None], *told: Any) -> None:
    os.environ.clear()  # a copy has those of when its template was started
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()
    work(*told)


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
