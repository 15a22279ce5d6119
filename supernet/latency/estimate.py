"""Times of operators that were measured at other input sizes only.

The work of an operator grows with the number of its output pixels, so between two
measured sizes of the same operator its time is interpolated along a straight line;
beyond the measured sizes the line of the two nearest goes on, never below what the
missing pixels alone would save. On the published Galaxy Note10 table (five sizes), each
size left out and estimated from the other four, sums over 500 random networks are off by
0.2 to 1.2 %; lines in input pixels or in multiply-adds were worse (0.5 to 2.0 %).

Where a model prices the operator, that is better still, and one known size is enough: the
ratio of the measured times to the model's is what is interpolated, and stays as it is
beyond the known sizes (`benchmarks/latency_models.py --parts order`: single operators are
off by 0.7 % in place of 2.5 %, sums by 0.5 % in place of 0.6 %).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from supernet.latency.model import OperatorModel
from supernet.space import Operator

__all__ = ["SizeEstimator"]


class SizeEstimator:
    """Estimates an operator's time from its times at other sizes.

    Args:
        times_ms: measured operators.
        model: of the work of operators; one that knows choices only is not used.
    """

    def __init__(
        self, times_ms: Mapping[Operator, float], model: OperatorModel | None = None
    ) -> None:
        self._model = model if model and model.terms == "work" else None
        families: dict[Operator, dict[float, list[tuple[float, float]]]] = {}
        for operator, ms in times_ms.items():
            family = families.setdefault(_family(operator), {})
            modelled = self._modelled(operator)
            ratio = ms / modelled if modelled > 0 else np.nan
            family.setdefault(_pixels(operator), []).append((ms, ratio))
        self._families = {
            family: np.array(
                [(pixels, *np.mean(found, axis=0)) for pixels, found in sorted(sizes.items())]
            ).T
            for family, sizes in families.items()
        }

    def knows(self, operator: Operator) -> bool:
        """Whether it was measured at two sizes, or at one and the model knows it."""
        found = self._families.get(_family(operator))
        if found is None:
            return False
        return found.shape[1] > 1 or self._modelled(operator) > 0

    def reaches(self, operator: Operator) -> bool:
        """Whether it lies between sizes at which it was measured."""
        found = self._families.get(_family(operator))
        return found is not None and bool(found[0, 0] <= _pixels(operator) <= found[0, -1])

    def ms(self, operator: Operator) -> float:
        """Its estimated time in milliseconds.

        Raises:
            KeyError: it is not known at these sizes.
        """
        if not self.knows(operator):
            raise KeyError(operator.key)
        pixels, times, ratios = self._families[_family(operator)]
        wanted = _pixels(operator)
        modelled = self._modelled(operator)
        if modelled > 0:
            return modelled * float(np.interp(wanted, pixels, ratios))
        upper = int(np.clip(np.searchsorted(pixels, wanted), 1, len(pixels) - 1))
        (low, high), (first, last) = pixels[upper - 1 : upper + 1], times[upper - 1 : upper + 1]
        line = first + (last - first) * (wanted - low) / (high - low)
        # fewer pixels save at most their share
        nearest = int(np.abs(pixels - wanted).argmin())
        floor = times[nearest] * min(1.0, wanted / pixels[nearest])
        return float(max(line, floor))

    def _modelled(self, operator: Operator) -> float:
        """What the model says, in milliseconds; 0 where it says nothing."""
        if self._model is None or not self._model.knows(operator):
            return 0.0
        return self._model.ms(operator)


def _family(operator: Operator) -> Operator:
    return replace(operator, height=1, width=1)


def _pixels(operator: Operator) -> float:
    """Of the output; of the input where the output is one number a channel."""
    if operator.op == "pool":
        return float(operator.height * operator.width)
    return float(operator.out_height * operator.out_width)
