"""Memory that a step frees is kept for the next one."""

import ctypes
import platform
from functools import cache
from pathlib import Path

__all__ = ["free_bytes", "keep_freed_memory"]

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


def free_bytes() -> int | None:
    """Memory that new processes can take without swapping; None where the system does not say.

    Linux alone says it.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}
    return kib["MemAvailable"] << 10 if "MemAvailable" in kib else None
