"""Accuracy of subnets on 8-bit integers, as their exported files would have it."""

import numpy as np
import numpy.typing as npt

from supernet.evaluate import Evaluator, Score, Split
from supernet.export import Source
from supernet.export.direct import direct_onnx
from supernet.export.formats.onnx import open_onnx
from supernet.export.int8.choosing import divergence
from supernet.export.int8.graphs import prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import images_of, measured_ranges
from supernet.metrics import percent_true
from supernet.space import Subnet

__all__ = ["int8_score"]

_CALIBRATION = 64  # images for the ranges, which are the ends that were seen


def int8_score(
    evaluator: Evaluator,
    subnet: Subnet,
    split: Split,
    *,
    images: int = 0,
    calibration_images: int = 0,
) -> Score:
    """Accuracy and loss of a subnet, recalibrated and quantised, in ONNX Runtime on the CPU.

    Quantised as `supernet export --int8` does, less thoroughly: ranges from fewer images by one
    calibrator, and weights of 7 or 8 bits, whichever is nearer to the float network on those.

    Args:
        evaluator: with the weights and images.
        subnet: to measure.
        split: on which images.
        images: how many of them at most; 0 for all.
        calibration_images: for the batch norm statistics, at most; 0 for all of the evaluator.
    """
    network = evaluator.network(subnet, calibration_images=calibration_images).cpu()
    channels = evaluator.supernet.space.in_channels
    source = Source(network=network, in_channels=channels, resolution=subnet.resolution)
    model = prepared(direct_onnx(source))
    batches = evaluator.views("calibration", subnet.resolution, _CALIBRATION)
    calibration = images_of(batches, _CALIBRATION)
    ranges = measured_ranges(model, calibration, "minmax")
    expected = open_onnx(model.SerializeToString(), threads=0).logits(calibration)
    best, least = b"", np.inf
    for reduce_range in (True, False):
        made = quantised(model, ranges, reduce_range=reduce_range).SerializeToString()
        found = divergence(expected, open_onnx(made, threads=0).logits(calibration))
        if found < least:
            best, least = made, found
    logits = open_onnx(best, threads=0).logits(evaluator.views(split, subnet.resolution, images))
    return _score(logits, evaluator.images(split, images).labels)


def _score(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Score:
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -logs[np.arange(len(labels)), labels].mean()
    return Score(percent_true(logits.argmax(axis=1) == labels), float(loss))
