"""From a float graph to the one on integers that is shipped."""

from collections import Counter

import onnx
from supernet.export.contract import Source, Written
from supernet.export.int8.choosing import Chooser, Int8Report
from supernet.export.int8.graphs import Links, prepared
from supernet.export.int8.ranges import images_of
from supernet.export.int8.telling import floats_told

from supernet.errors import ConfigError
from supernet.progress import Progress, silent

__all__ = ["float_islands", "quantise"]

_CALIBRATION = 256  # images; more hardly move the ranges
_HOLDOUT = 1000  # images that ways to quantise are compared on
_TRANSPARENT = ("QuantizeLinear", "DequantizeLinear", "Flatten", "Transpose", "Reshape")
_FLOAT_ONLY = ("BatchNormalization",)


def quantise(
    model: onnx.ModelProto, source: Source, progress: Progress = silent
) -> tuple[onnx.ModelProto, Written]:
    """The network on 8-bit integers, and how it was done.

    Args:
        model: in float.
        source: with calibration images; its held-out images decide between ways to quantise.
        progress: told what is done.

    Raises:
        ConfigError: no calibration images.
    """
    calibration = images_of(source.calibration, _CALIBRATION)
    if not calibration:
        raise ConfigError(
            "int8: needs training images to find the ranges of activations, found none",
            hint="give a folder of images by --data",
        )
    holdout, labels = calibration, None
    if source.holdout is not None and len(source.holdout.labels):
        holdout = images_of(source.holdout.batches, _HOLDOUT)
        labels = source.holdout.labels[: len(holdout)]
    chooser = Chooser(
        prepared(model),
        calibration,
        holdout,
        labels,
        probabilities=source.preprocessing.get("output") == "probabilities",
        progress=progress,
    )
    found, report = chooser.choose(source.most_lost, source.weights_bits)
    islands = float_islands(found)
    facts = report.as_dict() | {"float_operators": islands}
    return found, Written(notes=(*_notes(report), f"int8: {floats_told(islands)}"), facts=facts)


def float_islands(model: onnx.ModelProto) -> dict[str, int]:
    """Operators between integers that still compute in float, by kind.

    An operator runs on integers where all that it reads was dequantised (or is constant) and
    all who read it quantise, unless ONNX Runtime has no such operator for integers.
    """
    links, found = Links.of(model.graph), Counter[str]()
    for node in model.graph.node:
        if node.op_type in _TRANSPARENT:
            continue
        reads = [links.producer.get(name) for name in node.input]
        before = [maker for maker in reads if maker is not None]
        integers = any(maker.op_type == "DequantizeLinear" for maker in before)
        between = integers and links.only_read_by(node.output[0], ("QuantizeLinear",))
        if not between or node.op_type in _FLOAT_ONLY:
            found[node.op_type] += 1
    return dict(found)


def _notes(report: Int8Report) -> tuple[str, ...]:
    chosen = report.chosen.way
    bits = 7 if chosen.reduce_range else 8
    corrected = ", biases corrected" if chosen.corrected else ""
    notes = [
        f"int8: ranges by {chosen.method}, weights of {bits} bits{corrected}; held-out "
        f"images {report.float_top1:.2f} % in float, {report.chosen.top1:.2f} % in int8"
    ]
    if chosen.in_float:
        notes.append(
            f"int8: {len(chosen.in_float)} of {len(report.sensitivity)} layers stay in float, the "
            f"fewest that lose no more: {', '.join(chosen.in_float)}"
        )
    if bits == 8:
        notes.append(
            "int8: x86 processors without VNNI compute with weights of 8 bits wrongly; "
            "--weights-bits 7 makes a file that is the same everywhere"
        )
    return tuple(notes)
