"""Formats by name; a new one is a file and a line here."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supernet.export.contract import Exporter

from supernet.errors import FileFormatError

__all__ = ["FORMATS", "FormatInfo", "exporter", "exporter_of", "format_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatInfo:
    """A format as it is listed, without loading what writes it."""

    name: str
    suffix: str
    about: str
    """A few words, for the command line."""
    where: str
    """Module and class of its exporter."""

    def load(self) -> Exporter:
        """Its exporter, which may need a package that is missing (`Exporter.check`)."""
        module, name = self.where.split(":")
        made = getattr(importlib.import_module(f"supernet.export.formats.{module}"), name)()
        assert isinstance(made, Exporter)
        return made


_KNOWN = (
    FormatInfo(
        name="onnx",
        suffix=".onnx",
        about="ONNX, for ONNX Runtime and most engines",
        where="onnx:Onnx",
    ),
    FormatInfo(
        name="pytorch",
        suffix=".safetensors",
        about="safetensors and a model.py that needs torch alone",
        where="pytorch:PyTorch",
    ),
    FormatInfo(
        name="torch-export",
        suffix=".pt2",
        about="torch.export, for torch and its compilers",
        where="torch_export:TorchExport",
    ),
    FormatInfo(
        name="openvino",
        suffix=".xml",
        about="OpenVINO IR, for processors and accelerators of Intel",
        where="openvino:OpenVino",
    ),
    FormatInfo(
        name="executorch",
        suffix=".pte",
        about="ExecuTorch with XNNPACK, for phones",
        where="executorch:ExecuTorch",
    ),
    FormatInfo(
        name="ncnn",
        suffix=".ncnn.param",
        about="ncnn, for phones",
        where="ncnn:Ncnn",
    ),
    FormatInfo(
        name="litert",
        suffix=".tflite",
        about="LiteRT, for phones and microcontrollers",
        where="litert:LiteRt",
    ),
    FormatInfo(
        name="coreml",
        suffix=".mlpackage",
        about="CoreML; converted only, it runs on Apple's machines",
        where="coreml:CoreMl",
    ),
)
FORMATS: Mapping[str, FormatInfo] = {info.name: info for info in _KNOWN}
"""All formats, in the order of the help."""


def exporter(name: str) -> Exporter:
    """The exporter of a format, its packages there.

    Raises:
        MissingPackageError: names the extra to install.
    """
    found = FORMATS[name].load()
    found.check()
    return found


def exporter_of(path: Path) -> Exporter:
    """The exporter of the format that a file's suffix names, its packages there.

    Raises:
        FileFormatError: no format has this suffix.
        MissingPackageError: names the extra to install.
    """
    return exporter(format_of(path).name)


def format_of(path: Path) -> FormatInfo:
    """The format that a file's suffix names.

    Raises:
        FileFormatError: no format has this suffix.
    """
    for info in FORMATS.values():
        if path.name.endswith(info.suffix):
            return info
    known = ", ".join(info.suffix for info in FORMATS.values())
    raise FileFormatError(f"{path}: files of a network end in {known}")
