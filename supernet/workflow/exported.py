"""What an export is asked for, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.export import FORMATS, Exporter, Verification, exporter
from supernet.export.contract import Precision
from supernet.export.int8.telling import beside_float
from supernet.workflow.export_folder import SUBNET_FILE
from supernet.workflow.export_latency import LatencyCheck

__all__ = ["ExportOutcome", "ExportRequest", "ExportedFile", "beside_floats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is to be written, and how."""

    formats: tuple[str, ...] = ("onnx",)
    """Of `FORMATS`."""
    int8: bool = False
    """Also on 8-bit integers, in those of the formats that can."""
    pixels: bool = False
    """Put the normalisation into the network, which then reads uint8."""
    probabilities: bool = False
    """Put softmax into the network."""
    dynamic_batch: bool = False
    """Let the batch size of files vary."""
    opset: int = 0
    """Of ONNX files; 0 for the oldest that has every operator."""
    most_lost: float = 1.0
    """Points of accuracy that int8 may lose before layers are kept in float."""
    weights_bits: int = 0
    """Of the weights of an ONNX file in int8, 7 or 8; 0 for what loses less on this processor."""
    data: str | None = None
    """Images to recalibrate and check with, where not those of the run."""
    finetuned: bool = True
    """Take finetuned weights, where the subnet was finetuned from the run's newest ones."""

    @property
    def ends(self) -> dict[str, Any]:
        """What files read and give: those of one folder are alike in that."""
        output = "probabilities" if self.probabilities else "logits"
        return {"pixels": self.pixels, "output": output}

    def exporters(self) -> list[tuple[Exporter, Precision]]:
        """What is written, one file each.

        Raises:
            ConfigError: an unknown format, one that cannot do what is asked, or none that can do
                int8.
            MissingPackageError: a package is missing; names the extra.
        """
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise ConfigError(f"format: must be some of {', '.join(FORMATS)}, found {unknown}")
        if self.opset and "onnx" not in self.formats:
            raise ConfigError(
                f"opset: is of ONNX files, found {', '.join(self.formats)}",
                hint="add --onnx, or leave out --opset",
            )
        if self.opset:
            from supernet.export.onnx_versions import check_opset

            check_opset(self.opset, int8=self.int8)
        if self.weights_bits not in (0, 7, 8):
            raise ConfigError(f"weights-bits: must be 7 or 8, found {self.weights_bits}")
        if self.weights_bits and not (self.int8 and "onnx" in self.formats):
            raise ConfigError("weights-bits: is of ONNX files in int8", hint="add --onnx --int8")
        found: list[tuple[Exporter, Precision]] = []
        for name in self.formats:
            made = exporter(name)
            found += [(made, precision) for precision in made.precisions[: 1 + self.int8]]
        if self.int8 and all(precision == "fp32" for _, precision in found):
            raise ConfigError(f"int8: not in {', '.join(self.formats)}", hint="add --onnx")
        return found

    def other_opset(self, made: Exporter) -> str:
        """What may help where a runtime does not run a file; empty where that was not asked for."""
        return "give a lower --opset" if self.opset and made.name == "onnx" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A file and what was measured of it."""

    path: Path
    format: str
    precision: Precision
    size_bytes: int
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = ""
    """That it was run in; empty where there is none here."""
    verification: Verification | None = None
    latency_ms: float | None = None
    """On this machine, one thread, batch 1."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """What the runtime executes, by kind."""
    beside_float: Mapping[str, Any] = field(default_factory=dict)
    """Of a file on integers: what it gave and took beside that in float of its format, and which
    to ship (`supernet.export.int8.telling.beside_float`); empty where they were not timed
    together."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without the path."""
        own = {key: getattr(self, key) for key in ("format", "precision", "runtime")}
        checked = asdict(self.verification) if self.verification else {}
        return {
            **self.facts,
            **own,
            **checked,
            "latency_ms": self.latency_ms,
            "bytes": self.size_bytes,
            "operators": dict(self.operators),
            "notes": list(self.notes),
            **({"beside_float": dict(self.beside_float)} if self.beside_float else {}),
        }


def beside_floats(files: Sequence[ExportedFile]) -> list[ExportedFile]:
    """The same files, those on integers with what they gave beside those in float.

    Args:
        files: all of one export, timed in turn.
    """
    plain = {made.format: _timed(made) for made in files if made.precision == "fp32"}

    def with_it(made: ExportedFile) -> ExportedFile:
        own, other = _timed(made), plain.get(made.format)
        if made.precision == "fp32" or own is None or other is None:
            return made
        return replace(made, beside_float=beside_float(own, other))

    return [with_it(made) for made in files]


def _timed(made: ExportedFile) -> tuple[str, float, float] | None:
    if made.latency_ms is None or made.verification is None:
        return None
    return made.path.name, made.latency_ms, made.verification.top1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """An exported subnet: a folder to hand on."""

    folder: Path
    files: tuple[ExportedFile, ...]
    """As asked for; the fp32 file of the first format comes first."""
    latency: LatencyCheck | None
    """Against the prediction, where there is one for this machine."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why files could not be written, by their names."""
    weights_changed: bool
    """Whether the supernet was trained on since the subnet was found."""
    finetuned: tuple[float, float] | None = None
    """What `supernet finetune` gave, where the weights are its own: top-1 on held-out images before
    and after, percent."""

    @property
    def first(self) -> ExportedFile:
        """The file that the card is about."""
        return self.files[0]

    @property
    def verification(self) -> Verification:
        """Of the first file, whose format runs here."""
        found = self.first.verification
        assert found is not None
        return found

    @property
    def card(self) -> Path:
        """A page for whoever gets the folder."""
        return self.folder / "README.md"

    @property
    def subnet(self) -> Path:
        """A ``subnet.json`` with the measured values."""
        return self.folder / SUBNET_FILE
