"""Memory that a step frees is kept for the next one."""

import ctypes
import platform
from functools import cache
from pathlib import Path

__all__ = ["free_mib", "keep_freed_memory"]

# from glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


@cache
def keep_freed_memory() -> bool:
    """Tell the C library not to give freed memory back to the system; whether it listened.

    A training step on a CPU allocates and frees the same hundreds of MiB again and again.
    By default glibc takes every block of more than some MiB from the system and gives it
    back at once, and the system fills each page with zeros: 20,000 page faults a step, and
    a fifth of its time. The process then stays as large as it once was. Without effect on
    other C libraries.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
    done = [mallopt(name, value) for name, value in settings.items()]
    return all(done)


def free_mib() -> float:
    """Memory that a process may still take, of the machine and of its container."""
    found = [mib for mib in (_machine_mib(), _container_mib()) if mib is not None]
    return min(found, default=float("inf"))


def _machine_mib() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    words = next((line.split() for line in lines if line.startswith("MemAvailable:")), None)
    return float(words[1]) / 2**10 if words else None


def _container_mib() -> float | None:
    """What the control group of this process (version 2) leaves, files it could drop included."""
    folder = Path("/sys/fs/cgroup")
    try:
        most = int((folder / "memory.max").read_text(encoding="utf-8"))
        now = int((folder / "memory.current").read_text(encoding="utf-8"))
        rows = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # none, or "max"
        return None
    droppable = next((int(row.split()[1]) for row in rows if row.startswith("inactive_file ")), 0)
    return max(0.0, (most - now + droppable) / 2**20)
