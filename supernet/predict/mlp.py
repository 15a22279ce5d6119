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
from supernet.predict._terms import single_terms
from supernet.predict.contract import Predicted, Values
from supernet.predict.space_id import SpaceId
from supernet.space import Genes, Space
from supernet.space.layout import layout_of

__all__ = ["Input", "MLPPredictor"]

_VERSION = 1
_CHUNK = 1024  # rows whose hidden units stay in the cache
_MOST_UNITS = 16384  # of a layer: what a chunk needs stays below a gigabyte
_RESOLUTION = "resolution"

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
        sizes = {entry.value: i for i, entry in enumerate(inputs) if entry.dimension == _RESOLUTION}
        self._sizes = np.array(sorted(sizes))
        self._first = _FirstLayer(space, self.inputs, *self.layers[0], sizes)
        self._later, self._last = _shifted(self.layers[1:])

    kind = "imported"
    """Trained elsewhere."""
    validation = None
    """Not known: the pairs that it learned from are not."""

    def predict(self, genes: Genes) -> Predicted:
        """Accuracies of a population ``(N, G)``; how far off they are is not known."""
        return Predicted(mean=self.mean(genes))

    def additive(self) -> None:
        """None."""

    def mean(self, genes: Genes) -> Values:
        """Accuracies of a population ``(N, G)`` in percent, shape ``(N,)``.

        Between two input sizes that the network knows, its answers for both are
        interpolated. Below the smallest the line through the two smallest goes on, so
        that no size is better than a larger one; above the largest the largest counts.
        """
        out = np.empty(len(genes))
        lower, share = self._places(genes)
        count = min(_CHUNK, len(genes))
        buffers = [np.empty((count, len(weight)), dtype=np.float32) for weight, _ in self.layers]
        for start in range(0, len(genes), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._predict(genes[part], lower[part], share[part], buffers)
        out *= 100
        return out

    def _places(self, genes: Genes) -> tuple[npt.NDArray[np.int64], Values]:
        """The known size at or below that of each subnet, and how far the next one is."""
        count = len(self._sizes)
        if not count:
            return np.zeros(len(genes), dtype=np.int64), np.zeros(len(genes))
        resolution = layout_of(self.space).resolution
        size = np.array(resolution.choices, dtype=np.float64)
        position = np.interp(size, self._sizes, np.arange(count))
        if count > 1:
            step = self._sizes[1] - self._sizes[0]
            position = np.where(position > 0, position, (size - self._sizes[0]) / step)
        lower = np.maximum(np.floor(position), 0).astype(np.int64)
        chosen = (
            genes[:, resolution.column] if resolution.column >= 0 else np.zeros(len(genes), int)
        )
        return lower[chosen], (position - lower)[chosen]

    def _predict(
        self,
        genes: Genes,
        lower: npt.NDArray[np.int64],
        share: Values,
        buffers: Sequence[Weights],
    ) -> Values:
        """Accuracies of a chunk as shares of 1."""
        inputs = self._first.inputs(genes, lower)
        below = self._forward(inputs, buffers)
        between = np.flatnonzero(share)
        if not len(between):
            return below
        upper = np.minimum(lower[between] + 1, len(self._sizes) - 1)
        gain = self._forward(self._first.inputs(genes[between], upper), buffers) - below[between]
        below[between] += share[between] * np.where(share[between] < 0, np.maximum(gain, 0), gain)
        return below

    def _forward(self, inputs: Weights, buffers: Sequence[Weights]) -> Values:
        """The network, shape ``(N,)``; whatever is in the buffers is overwritten."""
        hidden = np.matmul(inputs, self._first.weight, out=buffers[0][: len(inputs)])
        for (weight, floor), buffer in zip(self._later, buffers[1:]):
            np.maximum(hidden, floor, out=hidden)
            hidden = np.matmul(hidden, weight, out=buffer[: len(inputs)])
        return hidden[:, 0].astype(np.float64) + self._last

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
            ConfigError: the path does not end in ``.json``, or other weights lie beside it.
        """
        if path.suffix != ".json":
            raise ConfigError(f"{path}: the description of a predictor must end in .json")
        weights = path.with_suffix(".safetensors")
        if weights.exists() and not path.exists():  # an exported network, say
            raise ConfigError(
                f"{weights}: holds other weights, and those of the predictor go there",
                hint="give the predictor another name, or remove that file",
            )
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
        body.space.check(path, space)
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


def _shifted(
    layers: Sequence[tuple[Weights, Weights]],
) -> tuple[list[tuple[Weights, Weights]], float]:
    """Layers after the first without biases, which saves a pass over the hidden units.

    ``relu(h + b) = max(h, -b) + b``, and that last `b` goes through the next layer into its
    own bias. So each layer is its transposed weight, and the floor under what comes into it;
    the bias of the last one is the float that is left.
    """
    found, bias = [], np.zeros(layers[0][0].shape[1] if layers else 0)
    for weight, own in layers:
        found.append((np.ascontiguousarray(weight.T), -bias.astype(np.float32)))
        bias = own + weight.astype(np.float64) @ bias
    return found, float(bias[0]) if len(bias) else 0.0


class _FirstLayer:
    """The first layer with its rows in the order of genes, which makes its inputs cheap.

    The one-hot choices of a gene are one row of a small table; which row is one product of
    the genes with a matrix. The input size and the bias come last, one row for each size.
    """

    def __init__(
        self,
        space: Space,
        inputs: Sequence[Input],
        weight: Weights,
        bias: Weights,
        sizes: Mapping[float, int],
    ) -> None:
        genes = layout_of(space).genes
        terms = [t for t, g in zip(single_terms(space), genes) if g.name != _RESOLUTION]
        named = [gene for gene in genes if gene.name != _RESOLUTION]
        # of two inputs for one choice (equal widths), the first
        number_of = {(e.dimension, e.value): i for i, e in reversed(list(enumerate(inputs)))}
        self._wide = max((len(gene.choices) for gene in named), default=1)
        self.weight: Weights = np.zeros((len(named) * self._wide, len(weight)), dtype=np.float32)
        self._strides = np.zeros((len(genes), len(named)), dtype=np.float32)
        self._offsets = np.zeros(len(named), dtype=np.float32)
        tables: list[Weights] = [np.zeros((0, self._wide), dtype=np.float32)]
        for place, (gene, term) in enumerate(zip(named, terms)):
            for index, choice in enumerate(gene.choices):
                number = number_of.get((gene.name, choice))  # type: ignore[arg-type]  # a word is never found
                if number is not None:
                    self.weight[place * self._wide + index] = weight[:, number]
            *shape, features = term.basis.shape
            table = np.zeros((int(np.prod(shape)), self._wide), dtype=np.float32)
            table[:, : features - 1] = term.basis[..., :-1].reshape(len(table), -1)
            self._offsets[place] = sum(map(len, tables))
            tables.append(table)
            for column, stride in zip(term.columns, _strides(shape)):
                self._strides[column, place] = stride
        self._rows = np.concatenate(tables)
        by_size = [bias + weight[:, sizes[size]] for size in sorted(sizes)] or [bias]
        self.weight = np.concatenate([self.weight, np.stack(by_size)])
        self._sizes = np.eye(len(by_size), dtype=np.float32)

    def inputs(self, genes: Genes, size: npt.NDArray[np.int64]) -> Weights:
        """Shape ``(N, inputs)``, for `weight`; `size` is each subnet's place in the sizes."""
        index = (genes.astype(np.float32) @ self._strides + self._offsets).astype(np.intp)
        found: Weights = np.empty((len(genes), len(self.weight)), dtype=np.float32)
        known = len(self.weight) - len(self._sizes)
        found[:, :known] = self._rows.take(index, axis=0).reshape(len(genes), -1)
        found[:, known:] = self._sizes.take(size, axis=0)
        return found


def _strides(shape: Sequence[int]) -> list[int]:
    """Of an array in C order, in elements."""
    return [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    space: SpaceId
    source: dict[str, str]
    inputs: list[tuple[str, float]]
    layers: int
    weights: _File
