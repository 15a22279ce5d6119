"""Ranges of activations over images, by ONNX Runtime's calibrators."""

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, create_calibrator
from supernet.export.int8.gates import Range
from torch import Tensor

from supernet.progress import Progress, silent

__all__ = ["METHODS", "Ranges", "images_of", "measured_ranges", "quiet"]

METHODS = ("minmax", "entropy", "percentile")
"""The ends that were seen; the ends that lose the least information; the ends without the
outermost hundred-thousandth."""
Ranges = dict[str, Range]

_KINDS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
_CHUNK_BYTES = 256 << 20  # of activations that a calibrator may hold at once


class _Reader:
    """Images one by one, as the calibrators ask for them."""

    def __init__(self, name: str, images: Sequence[np.ndarray]) -> None:
        self._left = iter([{name: image} for image in images])

    def get_next(self) -> Any:
        return next(self._left, None)


def images_of(batches: Sequence[Tensor], count: int) -> list[np.ndarray]:
    """The first images of some batches, each ``(1, C, H, W)``."""
    found: list[np.ndarray] = []
    for batch in batches:
        array = batch[: count - len(found)].cpu().contiguous().numpy()
        found += [array[i : i + 1] for i in range(len(array))]
        if len(found) >= count:
            break
    return found


def measured_ranges(
    model: onnx.ModelProto,
    images: Sequence[np.ndarray],
    method: str,
    progress: Progress = silent,
) -> Ranges:
    """Lowest and highest value of every tensor, as a calibrator sees it.

    Images go through in parts, since calibrators hold all activations of a part.

    Args:
        model: in float.
        images: each ``(1, C, H, W)``.
        method: one of `METHODS`.
        progress: told about every part.
    """
    step = max(1, _CHUNK_BYTES // _activation_bytes(model))
    with TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "float.onnx"
        path.write_bytes(model.SerializeToString())
        calibrator = create_calibrator(
            path,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_KINDS[method],
        )
        name = model.graph.input[0].name
        for start in range(0, len(images), step):
            progress(start, len(images), f"calibrating, {method}")
            calibrator.collect_data(_Reader(name, images[start : start + step]))
        found = calibrator.compute_data()
    return {key: (float(np.min(d.lowest)), float(np.max(d.highest))) for key, d in found.items()}


def _activation_bytes(model: onnx.ModelProto) -> int:
    """Of all activations of one image."""
    total = 0
    for info in model.graph.value_info:
        sizes = [size.dim_value or 1 for size in info.type.tensor_type.shape.dim]
        total += 4 * int(np.prod(sizes, dtype=np.int64))
    return max(total, 1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what ONNX Runtime's quantiser prints and warns."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
