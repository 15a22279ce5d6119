"""How to quantise a network: what is tried, what it costs, which layers stay in float."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from supernet.export.contract import Logits
from supernet.export.formats.onnx import open_onnx
from supernet.export.int8.bias import Values, bias_shifts, mean_inputs, with_shifted_biases
from supernet.export.int8.graphs import layers_of
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import METHODS, Ranges, measured_ranges

from supernet.metrics import percent_true
from supernet.progress import Progress, silent

__all__ = ["Chooser", "Int8Report", "Trial", "Way"]

_SENSITIVITY_S = 20.0  # for the images of all layers together
_FEWEST, _MOST = 16, 256  # images that a layer is judged by
_LEAST = 1e-9  # probability
_MOST_TRIED = 12  # layers that may go back to integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to quantise."""

    method: str
    """Calibrator, one of `METHODS`."""
    reduce_range: bool = False
    """Weights of 7 bits."""
    corrected: bool = False
    """Biases make up for what rounded weights add to a layer's mean output."""
    in_float: tuple[str, ...] = ()
    """Layers that are not quantised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A way to quantise, and what it costs on the held-out images."""

    way: Way
    top1: float
    """Percent; NaN without labels."""
    divergence: float
    """Mean Kullback-Leibler divergence from the float network's probabilities, in nats."""

    def as_dict(self) -> dict[str, Any]:
        """For a list of what was tried."""
        return {
            "calibrator": self.way.method,
            "weights_bits": 7 if self.way.reduce_range else 8,
            "bias_correction": self.way.corrected,
            "in_float": len(self.way.in_float),
            "top1": self.top1,
            "divergence": self.divergence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Report:
    """How a network was quantised."""

    float_top1: float
    """Of the float network on the same held-out images, percent."""
    chosen: Trial
    tried: tuple[Trial, ...]
    sensitivity: dict[str, float] = field(default_factory=dict)
    """Divergence with this layer alone on integers; the most sensitive first."""

    def as_dict(self) -> dict[str, Any]:
        """For `Written.facts`."""
        return {
            "calibrator": self.chosen.way.method,
            "weights_bits": 7 if self.chosen.way.reduce_range else 8,
            "bias_correction": self.chosen.way.corrected,
            "in_float": list(self.chosen.way.in_float),
            "divergence": self.chosen.divergence,
            "holdout_top1": self.chosen.top1,
            "holdout_float_top1": self.float_top1,
            "tried": [trial.as_dict() for trial in self.tried],
            "sensitivity": self.sensitivity,
        }


class Chooser:
    """Tries ways to quantise one network on the same images.

    Args:
        model: prepared, in float, with a batch of 1.
        calibration: training images, each ``(1, C, H, W)``.
        holdout: held-out images, alike.
        labels: of those, or none.
        probabilities: the network gives these, not logits.
        progress: told what is tried.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        calibration: Sequence[npt.NDArray[np.generic]],
        holdout: Sequence[npt.NDArray[np.generic]],
        labels: npt.NDArray[np.int64] | None,
        *,
        probabilities: bool = False,
        progress: Progress = silent,
    ) -> None:
        self._probabilities = probabilities
        self._model, self._calibration, self._progress = model, calibration, progress
        self._holdout, self._labels = holdout, labels
        since = time.perf_counter()
        self._expected = self._logits(model, holdout)
        self._image_s = (time.perf_counter() - since) / len(holdout)
        self._ranges: dict[str, Ranges] = {}
        self._means: dict[str, Values] = {}
        self._shifts: dict[bool, dict[str, Values]] = {}

    def choose(self, most_lost: float, bits: int = 0) -> tuple[onnx.ModelProto, Int8Report]:
        """The best way to quantise, with as many layers in float as it takes.

        Args:
            most_lost: points of accuracy on the held-out images (of the images that both
                classify alike, without labels).
            bits: of weights, 7 or 8; 0 for what is nearer to the float network here.
        """
        tried = [self.trial(Way(method=method, reduce_range=bits == 7)) for method in METHODS]
        best = min(tried, key=_divergence)
        if not bits:
            tried.append(self.trial(replace(best.way, reduce_range=True)))
            best = min(tried, key=_divergence)
        tried.append(self.trial(replace(best.way, corrected=True)))
        best = min(tried, key=_divergence)
        sensitivity = self.sensitivity(best)
        float_top1 = self._top1(self._expected)
        if float_top1 - best.top1 > most_lost:
            found = self._fewest(best, sensitivity, float_top1 - most_lost)
            tried += found
            best = found[-1]
        report = Int8Report(
            float_top1=float_top1, chosen=best, tried=tuple(tried), sensitivity=sensitivity
        )
        return self.model(best.way), report

    def trial(self, way: Way) -> Trial:
        """What one way to quantise costs."""
        self._progress(0, 1, f"trying int8, {way.method}, {len(way.in_float)} layers in float")
        found = self._logits(self.model(way), self._holdout)
        return Trial(way=way, top1=self._top1(found), divergence=divergence(self._expected, found))

    def model(self, way: Way, only: tuple[str, ...] | None = None) -> onnx.ModelProto:
        """The quantised network.

        Args:
            way: how.
            only: quantise these layers alone.
        """
        model = self._model
        if way.corrected:
            shifts = self._shifts_at(way.reduce_range)
            layers = layers_of(model.graph)
            on_integers = set(layers) - set(way.in_float) if only is None else set(only)
            nodes = {name for layer in on_integers for name in layers[layer]}
            model = with_shifted_biases(model, {k: v for k, v in shifts.items() if k in nodes})
        return quantised(
            model,
            self._ranges_by(way.method),
            in_float=way.in_float,
            only=only,
            reduce_range=way.reduce_range,
        )

    def sensitivity(self, trial: Trial) -> dict[str, float]:
        """Divergence with each layer alone on integers, the most sensitive first."""
        layers = list(layers_of(self._model.graph))
        count = int(_SENSITIVITY_S / max(self._image_s * len(layers), 1e-9))
        # of all the held-out ones, which may lie in the order of their classes
        step = -(-len(self._holdout) // min(max(count, _FEWEST), _MOST))
        images = self._holdout[::step]
        expected, found = self._expected[::step], {}
        for number, layer in enumerate(layers):
            self._progress(number, len(layers), "sensitivity of the layers")
            model = self.model(trial.way, only=(layer,))
            found[layer] = divergence(expected, self._logits(model, images))
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _fewest(self, best: Trial, sensitivity: dict[str, float], wanted: float) -> list[Trial]:
        """Trials with the most sensitive layers in float; the last one has the fewest that do.

        How many is found by halving, since the more are in float, the less is lost; then those
        of them that turn out not to be needed go back to integers.
        """
        order = list(sensitivity)
        low, high, found = 0, len(order), {}
        while high - low > 1:  # `low` are too few, `high` are enough
            middle = min(2 * low + 1, (low + high) // 2)
            found[middle] = self.trial(replace(best.way, in_float=tuple(order[:middle])))
            low, high = (low, middle) if found[middle].top1 >= wanted else (middle, high)
        if high not in found:
            found[high] = self.trial(replace(best.way, in_float=tuple(order[:high])))
        trials = [*(trial for count, trial in found.items() if count != high), found[high]]
        for layer in order[high - 1 : 0 : -1][:_MOST_TRIED]:
            kept = tuple(name for name in trials[-1].way.in_float if name != layer)
            fewer = self.trial(replace(best.way, in_float=kept))
            trials.insert(len(trials) if fewer.top1 >= wanted else -1, fewer)
        return trials

    def _ranges_by(self, method: str) -> Ranges:
        if method not in self._ranges:
            self._ranges[method] = measured_ranges(
                self._model, self._calibration, method, self._progress
            )
        return self._ranges[method]

    def _shifts_at(self, reduce_range: bool) -> dict[str, Values]:
        """What correction adds to the biases, for weights of so many bits."""
        if reduce_range not in self._shifts:
            if not self._means:
                self._means = mean_inputs(self._model, self._calibration)
            rounded = quantised(self._model, self._ranges_by(METHODS[0]), reduce_range=reduce_range)
            self._shifts[reduce_range] = bias_shifts(self._model, rounded, self._means)
        return self._shifts[reduce_range]

    def _logits(self, model: onnx.ModelProto, images: Sequence[npt.NDArray[np.generic]]) -> Logits:
        found = open_onnx(model.SerializeToString(), threads=0).logits(images)
        return np.log(np.maximum(found, _LEAST)) if self._probabilities else found

    def _top1(self, logits: Logits) -> float:
        labels = self._expected.argmax(axis=1) if self._labels is None else self._labels
        return percent_true(logits.argmax(axis=1) == labels)


def _divergence(trial: Trial) -> float:
    return trial.divergence


def divergence(expected: Logits, found: Logits) -> float:
    """Mean Kullback-Leibler divergence of the probabilities, in nats."""
    wanted, other = _log_softmax(expected), _log_softmax(found)
    return float((np.exp(wanted) * (wanted - other)).sum(axis=1).mean())


def _log_softmax(logits: Logits) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
