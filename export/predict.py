"""Run images through the networks in this folder: their classes, or maps of features.

    pip install onnxruntime numpy pillow
    python predict.py photo.jpg [more.jpg ...] [--model model_int8.onnx]
    python predict.py --check

`pictures.py` belongs to it: it makes 8-bit colours of whatever a file holds, as in training.
`--check` runs the sample images and compares with the outputs that are expected of them.
How an image is cut, scaled and normalised stands in the ONNX file, and is read from there.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from pictures import deep_kind, fitted, upright
from PIL import Image

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-3  # of a logit or a channel's mean, in fp32; other processors round otherwise


class Classifier:
    """An ONNX file of this folder, ready to run.

    Args:
        path: of the file.
        options: of ONNX Runtime's session.
    """

    def __init__(self, path: Path, options: Any = None) -> None:
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        meta = self.session.get_modelmeta().custom_metadata_map
        self.facts = {key: json.loads(value) for key, value in meta.items()}
        self.input = self.session.get_inputs()[0]
        self.classes = self.facts.get("classes", [])  # a backbone has none

    def prepare(self, image: Image.Image) -> Any:
        """A picture (`PIL.Image`) as the network reads it, shape (1, C, H, W)."""
        channels, *sides = self.input.shape[1:]
        height, width = self.facts.get("size", sides)
        fit, frame = self.facts["fit"], self.facts["frame"]
        picture = fitted(upright(image, self.facts["levels"], grey=channels == 1), fit)
        across, down = picture.size
        if fit != "squash":  # the largest part in the proportions of what the network reads
            across = min(picture.width, picture.height * width / height)
            down = min(picture.height, picture.width * height / width)
        left, top = (picture.width - frame * across) / 2, (picture.height - frame * down) / 2
        box = left, top, picture.width - left, picture.height - top
        if frame > 1:  # black around it
            picture = picture.crop(tuple(round(edge) for edge in box))
            box = 0, 0, *picture.size
        square = picture.resize((width, height), Image.Resampling.BILINEAR, box)
        pixels = np.asarray(square, np.uint8).reshape(height, width, channels)
        pixels = pixels.transpose(2, 0, 1)[None]
        if self.facts["pixels"]:
            return np.ascontiguousarray(pixels)
        mean, std = (np.array(self.facts[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
        return ((pixels / 255 - mean) / std).astype(np.float32)

    def run(self, prepared: Any) -> Any:
        """What the network says of a prepared picture, one number a class."""
        return self.session.run(None, {self.input.name: prepared})[0][0]

    def maps(self, image: Image.Image) -> dict[str, Any]:
        """All outputs for a picture by their names; of a backbone, each (C, H, W)."""
        found = self.session.run(None, {self.input.name: self.prepare(image)})
        return {out.name: value[0] for out, value in zip(self.session.get_outputs(), found)}

    def outputs(self, image: Image.Image) -> Any:
        """What the network says of a picture, one number a class; of maps each channel's mean."""
        found = self.maps(image).values()
        return np.concatenate([value.mean((1, 2)) if value.ndim > 1 else value for value in found])

    def told(self, image: Image.Image) -> str:
        """A picture's most probable classes, or the sizes of its maps."""
        kind, note = deep_kind(image), ""
        if kind and kind not in self.facts["levels"]:
            note = " (no such values were trained on; its own are stretched)"
        if self.classes:
            return in_words(self.best(image)) + note
        maps = self.maps(image)
        return ", ".join(f"{name} {'x'.join(map(str, m.shape))}" for name, m in maps.items()) + note

    def best(self, image: Image.Image, count: int = 3) -> list[tuple[str, float]]:
        """The most probable classes, each with its probability."""
        return self.named(self.outputs(image), count)

    def named(self, outputs: Any, count: int = 3) -> list[tuple[str, float]]:
        """The most probable classes by the network's outputs."""
        found = outputs.astype(np.float64)
        if self.facts["output"] == "logits":
            found = np.exp(found - found.max())
            found /= found.sum()
        order = np.argsort(-found)[:count]
        return [(self.classes[index], float(found[index])) for index in order]


def in_words(best: list[tuple[str, float]]) -> str:
    """Classes with their probabilities."""
    return ", ".join(f"{shown(label)} {100 * share:.1f} %" for label, share in best)


def shown(name: object) -> str:
    """A name; what a terminal would obey in it as its number."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))


def check() -> int:
    """Compare every model that is here with what is expected of the sample images."""
    path = HERE / "samples" / "expected.json"
    if not path.is_file():
        print(f"error: {path} is not here: there is nothing to compare with", file=sys.stderr)
        return 1
    expected = json.loads(path.read_text(encoding="utf-8"))
    here = {name: images for name, images in expected.items() if (HERE / name).is_file()}
    for name in expected.keys() - here.keys():
        print(f"{name}: is not here, not compared")
    wrong = int(not here)
    for name, images in here.items():
        classifier = Classifier(HERE / name)
        for file, wanted in images.items():
            with Image.open(HERE / "samples" / file) as image:
                found = classifier.outputs(image)
            same = int(np.argmax(found)) == int(np.argmax(wanted)) or not classifier.classes
            close = float(np.abs(found - np.array(wanted)).max())
            right = same and (name.endswith("_int8.onnx") or close <= TOLERANCE)
            wrong += not right
            classes = classifier.classes
            label = shown(classes[int(np.argmax(found))]) if classes else "maps"
            print(f"{name} {file}: {label}, off by {close:.1e}: {'ok' if right else 'WRONG'}")
    return 1 if wrong else 0


def tell(path: Path, told: Callable[[Image.Image], str]) -> int:
    """Print what is told of a picture; 1 where there is nothing that could be."""
    with ExitStack() as stack:
        try:
            image = stack.enter_context(Image.open(path))
            image.load()
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            reason = getattr(error, "strerror", None) or "not a picture that can be read"
            print(f"error: {shown(path)}: {reason}", file=sys.stderr)
            return 1
        try:
            answer = told(image)
        except Exception as error:  # noqa: BLE001  # decoders and runtimes have kinds of their own
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            print(f"error: {shown(path)}: cannot be classified: {reason}", file=sys.stderr)
            return 1
        print(f"{shown(path)}: {answer}", flush=True)
    return 0


def spelled_out() -> None:
    """Print what a terminal has no letter for by its number, in place of ending there."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> int:
    """Read the command line; 1 where a picture could not be read or is not as expected."""
    spelled_out()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", type=Path)
    models = sorted(path.name for path in HERE.glob("*.onnx"))
    if not models:
        parser.error(f"{HERE}: no ONNX file beside this script")
    parser.add_argument("--model", choices=models, default=models[0])
    parser.add_argument("--check", action="store_true", help="run the sample images")
    given = parser.parse_args()
    if given.check or not given.images:
        return check()
    classifier = Classifier(HERE / given.model)
    return max([tell(path, classifier.told) for path in given.images])


if __name__ == "__main__":
    sys.exit(main())
