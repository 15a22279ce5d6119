"""A small ensemble of multilayer perceptrons, trained here with torch and asked with NumPy."""

import base64
import binascii
import itertools
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.predict._features import Standardised
from supernet.predict.contract import AccuracyPairs, Values
from supernet.space import Genes, one_hot

__all__ = ["Perceptrons", "fit_mlp", "load_mlp"]

Weights: TypeAlias = npt.NDArray[np.float32]

_MEMBERS = 5
_HIDDEN = (96, 96)
_STEPS = 500
_BATCH = 64
_LEARNING_RATE = 4e-3
_WEIGHT_DECAY = 0.05
_CHUNK = 4096


class Perceptrons:
    """Perceptrons whose mean is the prediction, and whose spread says where it is unsure.

    Args:
        pairs: that they learned; they standardise inputs and outputs.
        layers: weight ``(members, in, out)`` and bias ``(members, 1, out)`` of each layer.
    """

    def __init__(self, pairs: AccuracyPairs, layers: list[tuple[Weights, Weights]]) -> None:
        self._inputs = _Inputs(pairs)
        self._layers = layers
        target = pairs.target
        self._mean, self._scale = float(target.mean()), float(target.std()) or 1.0

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        found: Values = self._each(genes).mean(0)
        return found

    def std(self, genes: Genes) -> Values:
        """Spread of the members, and a constant part, in percentage points."""
        spread = self._each(genes).std(0)
        return np.asarray(np.hypot(spread, 0.1 * self._scale), dtype=np.float64)

    def additive(self) -> None:
        """None."""

    def state(self) -> Mapping[str, Any]:
        """The weights as base64 of little-endian single precision."""
        arrays = [array for layer in self._layers for array in layer]
        flat = np.concatenate([array.ravel() for array in arrays]).astype("<f4")
        return {
            "shapes": [list(array.shape) for array in arrays],
            "weights": base64.b64encode(flat.tobytes()).decode(),
        }

    def _each(self, genes: Genes) -> Values:
        """Of each member, shape ``(members, N)``."""
        found = np.empty((len(self._layers[0][0]), len(genes)))
        for start in range(0, len(genes), _CHUNK):
            hidden = self._inputs(genes[start : start + _CHUNK])[None]
            for weight, bias in self._layers[:-1]:
                hidden = np.maximum(hidden @ weight + bias, 0)
            weight, bias = self._layers[-1]
            found[:, start : start + _CHUNK] = (hidden @ weight + bias)[..., 0]
        return self._mean + self._scale * found


class _Inputs:
    """Features of mean 0 and variance 1, and the choices."""

    def __init__(self, pairs: AccuracyPairs) -> None:
        self._space = pairs.space
        self._standardised = Standardised.of(pairs.space, pairs.genes)

    def __call__(self, genes: Genes) -> Weights:
        """Shape ``(N, inputs)``."""
        features = self._standardised(genes).astype(np.float32)
        return np.concatenate([features, one_hot(self._space, genes)], axis=1)


def fit_mlp(pairs: AccuracyPairs, seed: int = 0) -> Perceptrons:
    """Train the members together, each from its own start on its own batches."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small products gain nothing from more, and lose beside others
    try:
        return Perceptrons(pairs, _train(pairs, seed))
    finally:
        torch.set_num_threads(threads)


def _train(pairs: AccuracyPairs, seed: int) -> list[tuple[Weights, Weights]]:
    import torch

    target = pairs.target
    scale = float(target.std()) or 1.0
    x = torch.from_numpy(_Inputs(pairs)(pairs.genes))
    y = torch.from_numpy(((target - target.mean()) / scale).astype(np.float32))[:, None]
    generator = torch.Generator().manual_seed(seed)
    layers = []
    widths = (x.shape[1], *_HIDDEN, 1)
    for before, after in itertools.pairwise(widths):
        weight = torch.randn(_MEMBERS, before, after, generator=generator) * (2 / before) ** 0.5
        weight *= 1.0 if after > 1 else 0.1
        layers.append((weight.requires_grad_(), torch.zeros(_MEMBERS, 1, after).requires_grad_()))
    parameters = [parameter for layer in layers for parameter in layer]
    optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = _STEPS * max(1, round((len(y) / 400) ** 0.5))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    size = min(_BATCH, len(y))
    for _ in range(steps):
        rows = torch.randint(len(y), (_MEMBERS, size), generator=generator)
        hidden = x[rows]
        for weight, bias in layers[:-1]:
            hidden = torch.relu(torch.baddbmm(bias, hidden, weight))
        predicted = torch.baddbmm(layers[-1][1], hidden, layers[-1][0])
        loss = torch.nn.functional.mse_loss(predicted, y[rows]) * _MEMBERS
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        optimiser.step()
        schedule.step()
    return [(w.detach().numpy(), b.detach().numpy()) for w, b in layers]


def load_mlp(pairs: AccuracyPairs, state: Mapping[str, Any]) -> Perceptrons:
    """Perceptrons from their state."""
    try:
        shapes = [tuple(int(length) for length in shape) for shape in state["shapes"]]
        flat = np.frombuffer(base64.b64decode(state["weights"], validate=True), dtype="<f4")
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise ConfigError("state: expected the shapes and weights of perceptrons") from None
    width = _Inputs(pairs)(pairs.genes[:1]).shape[1]
    fits = len(shapes) >= 2 and len(shapes) % 2 == 0 and all(len(shape) == 3 for shape in shapes)
    members = shapes[0][0] if fits else 0
    for weight, bias in zip(shapes[::2], shapes[1::2]):
        fits = fits and weight[:2] == (members, width) and bias == (members, 1, weight[2])
        width = weight[2] if fits else 0
    sizes = [int(np.prod(shape)) for shape in shapes]
    if not fits or members < 1 or width != 1 or sum(sizes) != len(flat):
        raise ConfigError(f"state.shapes: {str(shapes)[:200]} do not fit the space or the weights")
    if not np.isfinite(flat).all():
        raise ConfigError("state.weights: must be finite")
    parts = np.split(flat.astype(np.float32), np.cumsum(sizes)[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes)]
    return Perceptrons(pairs, list(zip(arrays[::2], arrays[1::2])))
