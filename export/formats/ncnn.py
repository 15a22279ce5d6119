"""Files of ncnn, made by pnnx and run in ncnn."""

import re
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from supernet.export.commands import run_converter
from supernet.export.contract import (
    Exporter,
    Images,
    InputSpec,
    Logits,
    OpenedModel,
    Precision,
    Source,
    Written,
)
from supernet.export.culprits import missing
from supernet.export.quiet import last_lines, quiet
from supernet.export.sources import ONE_IMAGE, as_floats, one_image
from supernet.export.staging import staged

from supernet.errors import ExportError, FileFormatError
from supernet.progress import Progress, silent

__all__ = ["Ncnn"]

_MAGIC = "7767517"
_LIMIT_S = 600.0
_LAYER = re.compile(r"(\w+)\s+(\S+)\s+(\d+)\s+(\d+)((?:\s+\S+)*)")
_HIDDEN = ("Input", "Split")
_MOST_BYTES = 16 * 2**20  # of a page of text


class Ncnn(Exporter):
    """A page of layers (``.param``) and their weights (``.bin``), for phones.

    Weights are kept in fp32 (by default pnnx halves them). The file has no place for the
    preprocessing, and no other numbers than floats for images.
    """

    name, title, suffix = "ncnn", "ncnn", ".ncnn.param"
    extra, needs = "ncnn", ("ncnn", "pnnx")
    tolerance = 1e-3  # convolutions by Winograd's method

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        del precision
        import pnnx
        from supernet.export.formats.onnx import onnx_model

        progress(0, 1, f"{self.title} by pnnx")
        data = onnx_model(as_floats(one_image(source)), self.title).SerializeToString()
        with TemporaryDirectory() as made:
            folder = Path(made)
            (folder / "model.onnx").write_bytes(data)
            shape = ",".join(map(str, (1, *source.shape)))
            command = [pnnx.EXEC_PATH, "model.onnx", f"inputshape=[{shape}]f32", "fp16=0"]
            text = run_converter(command, title=self.title, folder=folder, limit_s=_LIMIT_S)
            param, weights = folder / "model.ncnn.param", folder / "model.ncnn.bin"
            if not (param.is_file() and weights.is_file()):
                raise ExportError(f"ncnn: pnnx wrote no file; its last lines:\n{last_lines(text)}")
            page = _with_shape(param.read_text(encoding="utf-8"), source.shape)
            _refuse_foreign(page, source)
            with staged(path) as place:
                (place / path.with_suffix(".bin").name).write_bytes(weights.read_bytes())
                (place / path.name).write_text(page, encoding="utf-8")
        notes = [ONE_IMAGE] if source.dynamic_batch else []
        if source.pixels:
            notes.append("ncnn reads pixels as floats from 0 to 255")
        facts = {"pnnx": version("pnnx"), "ncnn": version("ncnn")}
        return Written(notes=tuple(notes), facts=facts)

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        page = _page(path)
        layers = _layers(page, path)
        spec, key = _input_of(layers, path)
        output = layers[-1][2][-1]
        with quiet() as printed:
            net = _loaded(path, threads)
            why = last_lines(printed(), 1)
        if net is None:
            raise FileFormatError(f"{path}: ncnn refuses it: {why or 'it does not say why'}")
        return OpenedModel(
            runtime=f"ncnn {version('ncnn')}",
            input=spec,
            call=partial(_run, net, key, output),
            operators=partial(_kinds, layers),
        )

    def parts(self, path: Path) -> list[Path]:
        """See `Exporter.parts`."""
        return [path, path.with_suffix(".bin")]


def _with_shape(page: str, shape: tuple[int, int, int]) -> str:
    """The page, whose input says how large an image is."""
    channels, rows, columns = shape
    sized = rf"\1 0={columns} 1={rows} 2={channels}"
    return re.sub(r"(?m)^(Input\s+\S+\s+0\s+1\s+\S+)[^\n]*$", sized, page, count=1)


def _refuse_foreign(page: str, source: Source) -> None:
    """Pnnx leaves operators that ncnn has not, under the names of torch or ONNX."""
    import ncnn

    kinds = {line.split(maxsplit=1)[0] for line in page.splitlines()[2:]}
    foreign = sorted(kind for kind in kinds if ncnn.layer_to_index(kind) < 0)
    if foreign:
        raise ExportError(f"ncnn: {missing(foreign, source)}")


def _page(path: Path) -> str:
    weights = path.with_suffix(".bin")
    for file in (path, weights):
        if not file.is_file():
            raise FileFormatError(f"{file}: no such file")
    if path.stat().st_size > _MOST_BYTES:
        raise FileFormatError(f"{path}: larger than {_MOST_BYTES} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as text: {error}") from None


def _layers(page: str, path: Path) -> list[tuple[str, str, list[str]]]:
    """Kind, parameters and outputs of each layer; ncnn itself would read past the end."""
    lines = [line.strip() for line in page.splitlines() if line.strip()]
    counts = lines[1].split() if len(lines) > 1 else []
    if not lines or lines[0] != _MAGIC or not all(map(str.isdigit, counts)) or len(counts) != 2:
        raise FileFormatError(f"{path}: not a file of ncnn: it does not begin with {_MAGIC}")
    found = []
    for number, line in enumerate(lines[2:], 3):
        match = _LAYER.fullmatch(line)
        words = match[5].split() if match else []
        taken, given = (int(match[3]), int(match[4])) if match else (0, 0)
        if match is None or len(words) < taken + given:
            raise FileFormatError(f"{path}: line {number} is no layer: {line[:60]!r}")
        blobs = words[: taken + given]
        found.append((match[1], " ".join(words[taken + given :]), blobs[taken:]))
    if len(found) != int(counts[0]):
        raise FileFormatError(f"{path}: says {counts[0]} layers, has {len(found)}")
    return found


def _input_of(layers: list[tuple[str, str, list[str]]], path: Path) -> tuple[InputSpec, str]:
    inputs = [(told, blobs) for kind, told, blobs in layers if kind == "Input"]
    sizes = dict(part.split("=", 1) for part in inputs[0][0].split()) if len(inputs) == 1 else {}
    wanted = [sizes.get(key, "") for key in "210"]
    if not all(size.isdigit() for size in wanted) or not layers[-1][2]:
        raise FileFormatError(f"{path}: expected one input of images that says their size")
    return InputSpec(shape=(1, *map(int, wanted))), inputs[0][1][0]


def _loaded(path: Path, threads: int) -> Any:
    """The network, or none; all in fp32."""
    import ncnn

    net = ncnn.Net()
    options = net.opt
    options.num_threads = threads or ncnn.get_cpu_count()
    for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(options, f"use_{kind}", False)
    options.use_vulkan_compute = False
    failed = net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin")))
    return None if failed else net


def _run(net: Any, key: str, output: str, images: Images) -> Logits:
    import ncnn

    rows = []
    for image in images:
        executor = net.create_extractor()
        # a copy: the first layers may compute in place
        executor.input(key, ncnn.Mat(np.ascontiguousarray(image)).clone())
        _, found = executor.extract(output)
        rows.append(np.array(found, np.float32).reshape(-1))
    return np.stack(rows)


def _kinds(layers: list[tuple[str, str, list[str]]]) -> Counter[str]:
    return Counter(kind for kind, _, _ in layers if kind not in _HIDDEN)
