"""The wall time of a search."""

import time

from supernet.search.archive import Archive

__all__ = ["Clock"]


class Clock:
    """Tells when the time is up; what an earlier search had scored takes none.

    Args:
        seconds: until the time is up.
        again: subnets that had been scored before.
        least: subnets that are scored in any case.
    """

    def __init__(self, seconds: float, again: int, least: int) -> None:
        self._seconds, self._again, self._least = seconds, again, least
        self._begun = time.perf_counter()

    def is_up(self, archive: Archive) -> bool:
        """Whether the time is spent, never before the subnets to begin with are scored."""
        if len(archive) <= self._again:
            self._begun = time.perf_counter()
            return False
        if len(archive) < self._least:
            return False
        return time.perf_counter() - self._begun > self._seconds
