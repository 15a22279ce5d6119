"""Writes a LiteRT file; run by itself, in the environment of the converter.

Told in a JSON file: the program of `torch.export`, the file to write, the shape of the images
``(1, C, H, W)``, whether they are pixels, and the calibration images, ``(N, H, W, C)``, if any.
"""

import json
import sys
from pathlib import Path

import litert_torch
import numpy as np
import torch


def main(told: str) -> None:
    """Convert, and quantise where there are images to calibrate with."""
    asked = json.loads(Path(told).read_text(encoding="utf-8"))
    network = torch.export.load(asked["program"]).module()
    _, channels, rows, columns = asked["shape"]
    dtype = torch.uint8 if asked["pixels"] else torch.float32
    images = torch.zeros((1, rows, columns, channels), dtype=dtype)
    model = litert_torch.convert(litert_torch.to_channel_last_io(network, args=[0]), (images,))
    model.export(asked["output"])
    if asked["calibration"]:
        quantise(asked["output"], np.load(asked["calibration"]))


def quantise(path: str, images: np.ndarray) -> None:
    """All operators to 8-bit integers; input and output stay what they are."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import (
        algorithm_manager,
        calibrator,
        qtyping,
        quantizer,
        recipe,
        recipe_manager,
    )
    from ai_edge_quantizer.utils import qsv_utils

    made, known = quantizer.Quantizer(path), recipe_manager.RecipeManager()
    made.load_quantization_recipe(recipe.static_wi8_ai8())
    known.load_quantization_recipe(recipe.static_wi8_ai8())
    for border in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        made.update_quantization_recipe(
            regex=".*",
            operation_name=border,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    ((signature, names),) = Interpreter(path).get_signature_list().items()
    (key,) = names["inputs"]
    # left alone, ranges are averages over images, and what lies outside is cut off
    ranges = calibrator.Calibrator(path, qsv_update_func=qsv_utils.min_max_update)
    ranges.calibrate({signature: [{key: image[None]} for image in images]}, known)
    made.quantize(ranges.get_model_qsvs()).export_model(path, overwrite=True)


if __name__ == "__main__":
    main(sys.argv[1])
