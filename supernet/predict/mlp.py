"""A multilayer perceptron over one-hot choices, as Once-for-All's accuracy predictors are.

It was trained elsewhere; here it is only read, kept and asked (arXiv:1908.09791, section
3.3). NumPy alone: a search asks it for whole populations.
"""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from supernet.errors import ConfigError, FileFormatError
from supernet.files import read_as, sha256, write_bytes, write_document
from supernet.space import Genes, Space, one_hot
from supernet.space.layout import layout_of

__all__ = ["Input", "MLPPredictor"]

_VERSION = 1
_CHUNK = 8192
_MOST_UNITS = 16384  # of a layer: what a chunk needs stays below a gigabyte
_RESOLUTION = "resolution"

Values: TypeAlias = npt.NDArray[np.float64]
Weights: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What one input of the network says: 1 where the dimension has the value, else 0.

    Also 0 where the choice has no effect, as in a skipped block. A value that the space
    has not is never taken; an input without a dimension is always 0.
    """

    dimension: str
    value: float


class MLPPredictor:
    """Predicts the accuracy of subnets by a network that was trained elsewhere.

    Args:
        space: of the subnets.
        inputs: what the network reads, in order.
        layers: weight ``(out, in)`` and bias ``(out,)`` of each layer; ReLU between
            them, one output: the accuracy as a share of 1.
        source: where it came from.

    Raises:
        ConfigError: layers that do not follow each other, values that are not finite,
            or an input of a dimension that the space has not.
    """

    def __init__(
        self,
        space: Space,
        inputs: Sequence[Input],
        layers: Sequence[tuple[Weights, Weights]],
        source: Mapping[str, str],
    ) -> None:
        self.space, self.inputs, self.layers = space, tuple(inputs), list(layers)
        self.source = dict(source)
        self._check()
        sizes = {i: entry.value for i, entry in enumerate(inputs) if entry.dimension == _RESOLUTION}
        self._sizes = np.array(sorted(sizes.values()))
        self._size_inputs = np.array([i for i, _ in sorted(sizes.items(), key=lambda kv: kv[1])])
        self._columns, self._from = self._gather()

    def predict(self, genes: Genes) -> Values:
        """Accuracies of a population ``(N, G)`` in percent, shape ``(N,)``.

        Between two input sizes that the network knows, its answers for both are
        interpolated. Below the smallest the line through the two smallest goes on, so
        that no size is better than a larger one; above the largest the largest counts.
        """
        out = np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            out[start : start + _CHUNK] = self._predict(genes[start : start + _CHUNK])
        return 100 * out

    def _predict(self, genes: Genes) -> Values:
        features = np.zeros((len(genes), len(self.inputs)), dtype=np.float32)
        features[:, self._columns] = one_hot(self.space, genes)[:, self._from]
        if not len(self._sizes):
            return self._forward(features)
        resolution = layout_of(self.space).resolution
        choices = np.array(resolution.choices, dtype=np.float64)
        chosen = (
            genes[:, resolution.column] if resolution.column >= 0 else np.zeros(len(genes), int)
        )
        size = choices[chosen]
        position = np.interp(size, self._sizes, np.arange(len(self._sizes)))
        if len(self._sizes) > 1:
            step = self._sizes[1] - self._sizes[0]
            position = np.where(position > 0, position, (size - self._sizes[0]) / step)
        lower = np.maximum(np.floor(position), 0).astype(np.int64)
        rows, share = np.arange(len(genes)), position - lower
        features[rows, self._size_inputs[lower]] = 1
        below = self._forward(features)
        between = np.flatnonzero(share)
        if not len(between):
            return below
        features[rows, self._size_inputs[lower]] = 0
        upper = np.minimum(lower + 1, len(self._sizes) - 1)
        features[rows, self._size_inputs[upper]] = 1
        above = below.copy()
        above[between] = self._forward(features[between])
        gain = above - below
        found: Values = below + share * np.where(share < 0, np.maximum(gain, 0), gain)
        return found

    def _forward(self, x: Weights) -> Values:
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = np.maximum(x @ w.T + b, 0)
        return (x @ weight.T + bias)[:, 0].astype(np.float64)

    def _gather(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Inputs, and for each the column of `one_hot` that it is."""
        layout = layout_of(self.space)
        first = np.cumsum(layout.num_choices) - layout.num_choices
        column_of: dict[tuple[str, object], int] = {}
        for gene in layout.genes:
            for index, choice in enumerate(gene.choices):
                column_of[gene.name, choice] = int(first[gene.column]) + index
        found: dict[tuple[str, object], tuple[int, int]] = {}
        for number, entry in enumerate(self.inputs):
            key = (entry.dimension, entry.value)
            if entry.dimension != _RESOLUTION and key in column_of:
                # of two inputs for one choice (equal widths), the first
                found.setdefault(key, (number, column_of[key]))
        pairs = np.array(list(found.values()), dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _check(self) -> None:
        known = {gene.name for gene in layout_of(self.space).genes} | {_RESOLUTION, ""}
        problems = [
            f"inputs[{i}].dimension: the space {self.space.name!r} has no choice "
            f"{entry.dimension[:60]!r}"
            for i, entry in enumerate(self.inputs)
            if entry.dimension not in known
        ][:5]
        problems += self._unfit()
        if problems:
            raise ConfigError(problems)

    def _unfit(self) -> list[str]:
        """Inputs and layers that do not fit each other."""
        problems = []
        sizes = [entry.value for entry in self.inputs if entry.dimension == _RESOLUTION]
        if len(set(sizes)) < len(sizes) or not all(8 <= size <= 4096 for size in sizes):
            problems.append(
                f"inputs: sizes must differ and be from 8 to 4096, found {reprlib.repr(sizes)}"
            )
        width = len(self.inputs)
        if not 1 <= width <= _MOST_UNITS:
            problems.append(f"inputs: must be from 1 to {_MOST_UNITS}, found {width}")
        for number, (weight, bias) in enumerate(self.layers):
            if weight.dtype != np.float32 or bias.dtype != np.float32:
                problems.append(
                    f"layers[{number}]: must be float32, found {weight.dtype} and {bias.dtype}"
                )
                break
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                problems.append(
                    f"layers[{number}]: weight {weight.shape} and bias {bias.shape} do not fit "
                    f"{width} inputs"
                )
                break
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                problems.append(f"layers[{number}]: values must be finite")
            width = len(weight)
            if width > _MOST_UNITS:
                problems.append(f"layers[{number}]: must have up to {_MOST_UNITS} outputs")
        if not problems and (not self.layers or width != 1):
            problems.append(f"layers: the last one must have one output, found {width}")
        return problems

    @property
    def sizes(self) -> tuple[int, ...]:
        """The input sizes that it knows, ascending."""
        return tuple(int(size) for size in self._sizes)

    def save(self, path: Path) -> None:
        """Write the description, and the weights beside it as safetensors.

        Raises:
            ConfigError: the path does not end in ``.json``.
        """
        if path.suffix != ".json":
            raise ConfigError(f"{path}: the description of a predictor must end in .json")
        weights = path.with_suffix(".safetensors")
        tensors = {}
        for number, (weight, bias) in enumerate(self.layers):
            tensors[f"{number}.weight"] = np.ascontiguousarray(weight)
            tensors[f"{number}.bias"] = np.ascontiguousarray(bias)
        write_bytes(weights, save(tensors))
        body = {
            "space": {"name": self.space.name, "hash": self.space.hash},
            "source": self.source,
            "inputs": [[entry.dimension, float(entry.value)] for entry in self.inputs],
            "layers": len(self.layers),
            "weights": {"path": weights.name, "sha256": sha256(weights)},
        }
        write_document(path, "mlp_predictor", _VERSION, body)

    @classmethod
    def load(cls, path: Path, space: Space) -> "MLPPredictor":
        """Read a predictor.

        Raises:
            FileFormatError: damaged, or of another space.
            ConfigError: values that break rules; all problems at once.
        """
        body = read_as(_Body, path, "mlp_predictor", _VERSION)
        if body.space.hash != space.hash:
            raise FileFormatError(f"{path}: of space {body.space.name!r}, not of {space.name!r}")
        name = body.weights.path
        if name != Path(name).name or not name.isprintable() or name in ("", ".."):
            raise FileFormatError(f"{path}: weights.path: must be a file's name, found {name!r}")
        weights = path.parent / name
        try:
            if sha256(weights) != body.weights.sha256:
                raise FileFormatError(f"{weights}: not the weights that {path.name} was saved with")
            tensors = load(weights.read_bytes())
            layers = [(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in range(body.layers)]
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise FileFormatError(f"{weights}: cannot be read: {reason}") from None
        inputs = [Input(dimension=name, value=value) for name, value in body.inputs]
        return cls(space, inputs, layers, body.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpaceId:
    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    space: _SpaceId
    source: dict[str, str]
    inputs: list[tuple[str, float]]
    layers: int
    weights: _File
