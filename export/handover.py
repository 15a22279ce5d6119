"""What lies beside an exported file, so that a stranger can use the folder."""

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from supernet.data import pictures
from supernet.errors import FileFormatError
from supernet.files import write_text

__all__ = [
    "SAMPLES",
    "sample_files",
    "write_adaptive_script",
    "write_labels",
    "write_predict_script",
    "write_samples",
]

SAMPLES = 2
"""Sample images of a folder."""
_SCRIPT = Path(__file__).with_name("predict.py")
_SAMPLES, _EXPECTED = "samples", "expected.json"
_ADAPTIVE = Path(__file__).parent / "bundle" / "adaptive.py"


def write_labels(folder: Path, classes: Sequence[str]) -> Path:
    """Write ``labels.txt``: a class a line, in the order of the outputs."""
    path = folder / "labels.txt"
    write_text(path, "".join(f"{' '.join(label.split())}\n" for label in classes))
    return path


def write_predict_script(folder: Path) -> Path:
    """Write ``predict.py``, which needs ONNX Runtime, NumPy and Pillow alone.

    Beside it lies what reads picture files here, as it is.
    """
    path = folder / "predict.py"
    write_text(folder / "pictures.py", Path(pictures.__file__).read_text(encoding="utf-8"))
    write_text(path, _SCRIPT.read_text(encoding="utf-8"))
    return path


def write_adaptive_script(folder: Path) -> Path:
    """Write ``adaptive.py``, which switches between the networks of a bundle."""
    path = folder / "adaptive.py"
    write_text(path, _ADAPTIVE.read_text(encoding="utf-8"))
    return path


def write_samples(
    folder: Path, models: Sequence[Path], pixels: npt.NDArray[np.uint8], labels: Sequence[str]
) -> Path:
    """Write sample images, and what each ONNX file gives for them through ``predict.py``.

    Args:
        folder: of the export.
        models: ONNX files in it.
        pixels: of the images, ``(N, H, W, C)``.
        labels: their classes, for the names of the files.

    Raises:
        FileFormatError: a file does not run: one of an earlier export that was damaged since.
    """
    where = folder / _SAMPLES
    where.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (image, label) in enumerate(zip(pixels, labels), start=1):
        plain = "".join(c if c.isalnum() else "_" for c in label)[:40]
        path = where / f"{number}_{plain}.png"
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
        files.append(path)
    script = _predict_script()
    expected: dict[str, Mapping[str, Any]] = {}
    for model in models:
        try:
            classifier = script.Classifier(model)
            expected[model.name] = {
                path.name: [round(float(x), 6) for x in classifier.outputs(Image.open(path))]
                for path in files
            }
        except Exception as error:  # the runtime has kinds of its own
            told = " ".join(str(error).split())[:200]
            raise FileFormatError(
                f"{model}: does not run: {told}", hint="remove it, or export it again"
            ) from error
    path = where / _EXPECTED
    write_text(path, json.dumps(expected, indent=1) + "\n")
    return path


def sample_files(folder: Path) -> list[Path]:
    """The sample images that an earlier export wrote into its folder."""
    where = folder / _SAMPLES
    try:
        known = json.loads((where / _EXPECTED).read_text(encoding="utf-8"))
        names = {str(name) for images in known.values() for name in images}
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    return [where / name for name in sorted(names) if Path(name).name == name]


def _predict_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supernet_predict_script", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = sys.modules.get("pictures")
    sys.modules["pictures"] = pictures  # as it lies beside the script in a folder
    try:
        spec.loader.exec_module(module)
    finally:
        if beside is None:
            del sys.modules["pictures"]
        else:
            sys.modules["pictures"] = beside
    return module
