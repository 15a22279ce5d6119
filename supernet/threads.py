"""How long threads that wait for each other stay awake."""

import os

__all__ = ["is_quiet", "limit_spinning"]

_ALONE, _BESIDE_OTHERS = 4000, 1000  # turns of libgomp's waiting loop
_QUIET = 0.25  # processes that want a core, for each core


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
