"""Threads that share the cores of this machine with those of others."""

import contextlib
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["is_quiet", "limit_spinning", "loops_alone", "products_alone_if_busy"]

_ALONE, _BESIDE_OTHERS = 4000, 1000  # turns of libgomp's waiting loop
_QUIET = 0.25  # processes that want a core, for each core
_LOOKS, _PAUSE_S = 4, 0.002
_NOW, _THREADS = Path("/proc/loadavg"), Path("/proc/self/task")


def limit_spinning() -> None:
    """Let the threads of torch spin for a short time only, before torch is loaded.

    By default they do for milliseconds: beside another training of as many threads that
    makes both several times slower. Not to spin at all is slower alone. On two cores,
    milliseconds of a step of ``mobilenet_v3`` at 32 px alone, and beside the same: 1000
    turns 165 and 370, 2000 turns 157 and 460, 4000 turns 145 and 640, 10,000 turns 145 and
    1180. So it is 4000 where the machine is quiet, else 1000; the median of three demos fell
    from 332 to 264 s.
    What the environment says already is left as it is.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        turns = _ALONE if is_quiet() else _BESIDE_OTHERS
        os.environ.setdefault("GOMP_SPINCOUNT", str(turns))


def is_quiet() -> bool:
    """Whether hardly anything ran in the last minute; no where the system cannot say."""
    try:
        load, *_ = os.getloadavg()
    except (AttributeError, OSError):  # Windows has none
        return False
    return load < _QUIET * (os.cpu_count() or 1)


def products_alone_if_busy() -> contextlib.AbstractContextManager[object]:
    """Keep each matrix product of NumPy to one thread, if others want the cores right now.

    A product ends with its slowest thread. On two cores, seconds of a search of 50,100
    subnets by a perceptron, with one thread and with two: alone 0.8 and 0.6, beside two
    other programs 0.9 and 4.3.
    """
    for _ in range(_LOOKS):  # something short may run at any moment
        if _is_alone():
            return contextlib.nullcontext()
        time.sleep(_PAUSE_S)
    import threadpoolctl  # here: the command line reads this file before all others

    limited: contextlib.AbstractContextManager[object] = threadpoolctl.threadpool_limits(
        1, user_api="blas"
    )
    return limited


def loops_alone() -> contextlib.AbstractContextManager[object]:
    """Keep each loop of OpenMP, as in scikit-learn's trees, to one thread.

    A loop over a hundred rows is too short to share, and its threads wait for each other by
    spinning. Six fits of 200 trees, seconds on two cores beside two other programs: one thread
    23, two threads 57 with 1000 turns of waiting, and more than 100 where nothing limits it.
    """
    limited: contextlib.AbstractContextManager[object] = _openmp().limit(limits=1)
    return limited


@cache
def _openmp() -> Any:
    """What limits the OpenMP libraries that were loaded when it was first asked for: in 8 ms."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController().select(user_api="openmp")


def _is_alone() -> bool:
    """Whether no other process wants a core right now."""
    try:
        running = int(_NOW.read_text().split()[3].partition("/")[0])
        return running <= max(1, sum(map(_runs, _THREADS.iterdir())))
    except (OSError, ValueError, IndexError):  # not Linux: what the last minute says
        return is_quiet()


def _runs(thread: Path) -> bool:
    """Whether a thread of this process wants a core; those of a product stay awake for a while."""
    with contextlib.suppress(OSError):  # it has ended
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    return False
