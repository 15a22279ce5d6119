"""Processes that do not outlive the one that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Child"]

_END_S = 5.0  # for one that was told to end


class Child:
    """A process with a pipe to it. It ends with this one, also where this one is killed.

    Args:
        work: called there with `told`, and its end of the pipe last; must be picklable. Ctrl-C
            does not reach it: that is for this process, which ends it.
        told: what it is called with.
    """

    def __init__(self, work: Callable[..., None], *told: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (work, *told, theirs)
        self._process = context.Process(target=_begin, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

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


def _begin(work: Callable[..., None], *told: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()
    work(*told)


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
