"""Once-for-All's published accuracy predictors become ours.

Two layouts were published, and the file's names tell which one it has: that of the
tutorial (kernels, expand ratios, then the input size) and that of the search package
(input size first; ResNets: stem depth, widths by index, expand ratios).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError
from supernet.files import sha256
from supernet.predict.mlp import Input, MLPPredictor
from supernet.space import Space, load_space
from supernet.space.layout import Dimension, layout_of

__all__ = ["from_ofa", "load_ofa"]

_TUTORIAL_SIZES = (0, 0, 0, 160, 176, 192, 208, 224)
"""The published file has inputs for 112, 128 and 144 as well, but was never trained with
them: it gives random networks 80.0 % at 128 px, 80.4 % at 144 px, and 78.1 % at 160 px."""
_SIZES = {  # by their number: one fixed size, the package's default, that of the ResNets
    1: (224,),
    4: (128, 160, 192, 224),
    8: (128, 144, 160, 176, 192, 224, 240, 256),
}

_PREDICTS = {  # published files by their sha256, and the space that each was trained for
    "48685122a3540636b06699af66cd816456b25f29b69563e2fda9bed4018eeba0": "mobilenet_v3_w1.2",
    "68912b4b4be38feb504c5b773dc847af23a637984d5eaabf548de72cd0f79529": "resnet50",
}


def from_ofa(
    state: Mapping[str, npt.NDArray[np.float32]],
    space: Space,
    source: Mapping[str, str],
    sizes: Sequence[int] | None = None,
) -> MLPPredictor:
    """The predictor in a published file.

    Args:
        state: its named arrays.
        space: of the supernet that it predicts.
        source: where it came from, kept with it.
        sizes: the input sizes it knows, ascending, where the file's shape does not tell.

    Raises:
        FileFormatError: not such a predictor, or of another space.
        ConfigError: weights that are damaged.
    """
    trained_for = _PREDICTS.get(source.get("sha256", ""))
    if trained_for:
        known = load_space(trained_for)
        if replace(space, resolutions=known.resolutions).hash != known.hash:
            raise FileFormatError(
                f"the published predictor of {trained_for!r} says nothing about {space.name!r}"
            )
    layers = _layers(state)
    tutorial = "0.weight" in state
    choices = list(_resnet(space) if space.stem.out else _mobilenet(space))
    count = layers[0][0].shape[1] - len(choices)
    if sizes is None:
        sizes = _TUTORIAL_SIZES if tutorial else _SIZES.get(count, ())
    if len(sizes) != count:
        raise FileFormatError(
            f"the predictor reads {layers[0][0].shape[1]} inputs; space {space.name!r} has "
            f"{len(choices)} choices, which leaves {count} input sizes, not {len(sizes)}",
            hint="name its space with --space, and its input sizes with --sizes",
        )
    of_size = [Input(dimension="resolution" if size else "", value=size) for size in sizes]
    inputs = [*choices, *of_size] if tutorial else [*of_size, *choices]
    return MLPPredictor(space, inputs, layers, source)


def load_ofa(path: Path, space: Space, sizes: Sequence[int] | None = None) -> MLPPredictor:
    """The predictor in a published ``.pth``.

    Raises:
        FileFormatError: not such a predictor, damaged, or of another space.
    """
    from supernet.models.weights import load_tensors

    state = {name: value.float().numpy() for name, value in load_tensors(path).items()}
    origin = {"source": path.name, "sha256": sha256(path)}
    try:
        return from_ofa(state, space, origin, sizes)
    except (ConfigError, FileFormatError) as error:
        raise FileFormatError(f"{path}: {error}", hint=error.hint) from None


def _layers(
    state: Mapping[str, npt.NDArray[np.float32]],
) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Weights and biases in order; a missing bias is zero, or the mean accuracy."""
    names = [name for name in state if re.fullmatch(r"[\w.]{1,60}\.weight", name)]
    if not names or any(state[name].ndim != 2 for name in names):
        raise FileFormatError("not an accuracy predictor of Once-for-All: no linear layers")
    layers = []
    for name in sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]):
        weight = np.asarray(state[name], dtype=np.float32)
        bias = state.get(name.removesuffix("weight") + "bias", np.zeros(len(weight)))
        layers.append((weight, np.asarray(bias, dtype=np.float32)))
    base = np.asarray(state.get("base_acc", 0.0), dtype=np.float32)
    if base.size != 1:
        raise FileFormatError(f"base_acc: expected one value, found {base.size}")
    weight, bias = layers[-1]
    layers[-1] = (weight, bias + base.reshape(()))
    return layers


def _one_hot(dimension: Dimension) -> Iterator[Input]:
    for choice in dimension.choices:
        yield Input(dimension=dimension.name, value=float(choice))


def _mobilenet(space: Space) -> Iterator[Input]:
    """Kernels of all blocks, then expand ratios of all blocks."""
    stages = layout_of(space).stages
    for per_block in ([stage.kernel for stage in stages], [stage.expand for stage in stages]):
        for dimensions in per_block:
            for dimension in dimensions:
                if dimension.column >= 0:
                    yield from _one_hot(dimension)


def _resnet(space: Space) -> Iterator[Input]:
    """Stem depth, widths by index, then expand ratios of all blocks."""
    layout = layout_of(space)
    yield from _one_hot(layout.stem_depth)
    for dimension in (layout.stem_width, layout.stem_out, *(s.width for s in layout.stages)):
        # three indices each; of two that round to the same width, the second is not asked for
        indexed = [*dimension.choices]
        while len(indexed) < 3:
            indexed.insert(0, indexed[0])
        for choice in indexed:
            yield Input(dimension=dimension.name, value=float(choice))
    for stage in layout.stages:
        for dimension in stage.expand:
            yield from _one_hot(dimension)
