"""A machine that slows down midway: noticed, waited for, and said."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from supernet.latency.kit.machine import Machine
from supernet.latency.kit.measuring import Gauge

__all__ = ["SpeedWatch"]

_WINDOW_S = 3.0
_SLOW = 1.15  # times as long as at full speed, and no better moment in the whole window
_RECOVERED = 1.08
_PAUSE_S = 0.1  # between readings
_READINGS = 4  # in a window, at least


class SpeedWatch:
    """Waits while the machine runs below its speed, for a limited time in all.

    Then it goes on: ratios to the gauge hold at any speed. Models that were never visited
    near full speed are marked in the result.

    Args:
        machine: to ask for frequency and temperature.
        say: told what happened, a line each.
        patience_s: seconds to wait in the whole run.
        sleep, clock: of the module `time`.
    """

    def __init__(
        self,
        machine: Machine,
        say: Callable[[str], None],
        *,
        patience_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine, self._say = machine, say
        self._left_s, self._sleep, self._clock = patience_s, sleep, clock
        self._start = clock()
        self._recent: deque[tuple[float, float]] = deque()
        self._accepted = 1.0

    def __call__(self, gauge: Gauge) -> None:
        """Look at the gauge; wait if no reading of the last seconds was good."""
        if self._recent and self._clock() - self._recent[-1][0] < _PAUSE_S:
            return
        now, factor = self._clock(), gauge.read() / gauge.full_ms
        self._recent.append((now, factor))
        while now - self._recent[0][0] > _WINDOW_S:
            self._recent.popleft()
        best = min(factor for _, factor in self._recent)
        if best < _RECOVERED:
            self._accepted = 1.0
        long_enough = now - self._recent[0][0] > _WINDOW_S / 2 and len(self._recent) >= _READINGS
        if long_enough and best > _SLOW * self._accepted:
            self._wait(gauge, best)

    def _wait(self, gauge: Gauge, factor: float) -> None:
        self._say(
            f"after {self._clock() - self._start:.0f} s the machine slowed down: the gauge takes "
            f"{factor:.2f} times as long as at full speed{self._sensors()}; waiting for it"
        )
        start = self._clock()
        while self._left_s > 0 and factor > _RECOVERED:
            self._sleep(1.0)
            self._left_s -= 1.0
            factor = gauge.read() / gauge.full_ms
        waited = self._clock() - start
        if factor <= _RECOVERED:
            self._say(f"it recovered after {waited:.0f} s{self._sensors()}")
            factor = 1.0
        else:
            self._say(
                f"it stays slow ({factor:.2f} times as long){self._sensors()}; going on, and "
                "marking what is never measured near full speed"
            )
        self._accepted = max(1.0, factor)
        self._recent.clear()

    def _sensors(self) -> str:
        frequency, temperature = self._machine.frequency_mhz(), self._machine.temperature_c()
        known = [f"{frequency:.0f} MHz"] if frequency else []
        known += [f"{temperature:.0f} degrees"] if temperature else []
        return f" ({', '.join(known)})" if known else ""
