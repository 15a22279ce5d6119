"""What a format must be able to do: write a network, and open the file in its runtime."""

import abc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from supernet.errors import FileFormatError, MissingPackageError
from supernet.progress import Progress, silent

if TYPE_CHECKING:  # formats are listed without loading torch
    from torch import Tensor, nn

__all__ = [
    "PRECISIONS",
    "Exporter",
    "InputSpec",
    "OpenedModel",
    "Precision",
    "Sample",
    "Source",
    "Written",
]

Precision = Literal["fp32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

_IMAGE_DTYPES = ("float32", "float16", "uint8")

Images = npt.NDArray[np.generic]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Sample:
    """Images as the network reads them, and their classes."""

    batches: "Sequence[Tensor]"
    """Each ``(n, C, H, W)``, made when asked for."""
    labels: npt.NDArray[np.int64]
    """Shape ``(N,)``."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Source:
    """A plain network, and what an exporter may have to know of it."""

    network: "nn.Module"
    """On the CPU, in eval mode: ``(N, C, H, W)`` images to ``(N, classes)``."""
    in_channels: int
    resolution: int
    """Rows of an image."""
    width: int = 0
    """Columns of an image; 0 for as many as rows."""
    outputs: tuple[str, ...] = ()
    """Names of its outputs where it gives several, as a backbone does: a list of maps."""
    multiple: int = 0
    """Let rows and columns vary in multiples of this, where the format can; 0 for one size."""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """``classes``, ``mean``, ``std``, ``pixels``, ``output``; kept in files that have a place
    for it."""
    calibration: "Sequence[Tensor]" = ()
    """Training images, for the ranges of activations in int8."""
    holdout: Sample | None = None
    """Held-out training images, to choose how to quantise."""
    dynamic_batch: bool = False
    """Let the first size of the input vary, where the format can."""
    opset: int = 0
    """Of ONNX; 0 for the oldest that has every operator."""
    most_lost: float = 1.0
    """Points of accuracy that int8 may lose before layers are kept in float."""
    weights_bits: int = 0
    """Of weights in int8, 7 or 8, where the format has both; 0 for what loses less here."""
    pixels: bool = False
    """The network reads pixels, uint8 from 0 to 255, not normalised floats."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)`` of an image."""
        return self.in_channels, self.resolution, self.width or self.resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """What a file reads."""

    shape: tuple[int | None, ...]
    """Of the input in the file's own order; None where a size may vary."""
    dtype: str = "float32"
    """As NumPy names it: ``float32``, ``float16``, ``uint8``."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    @classmethod
    def of_images(
        cls,
        path: object,
        inputs: Sequence[tuple[str, Sequence[int | None]]],
        *,
        usual: Literal["NCHW", "NHWC"] = "NCHW",
    ) -> "InputSpec":
        """What a file reads whose only input is images.

        Args:
            path: of the file, for the message.
            inputs: numbers, as NumPy names them, and sizes of each of its inputs.
            usual: the order of the format, where the sizes do not tell.

        Raises:
            FileFormatError: other inputs, or numbers that images do not have.
        """
        if len(inputs) != 1 or len(inputs[0][1]) != 4 or inputs[0][0] not in _IMAGE_DTYPES:
            shown = ", ".join(f"{kind} {list(sizes)}" for kind, sizes in inputs) or "none"
            raise FileFormatError(
                f"{path}: expected one input of images, found {shown}",
                hint=f"give one that reads {' or '.join(_IMAGE_DTYPES)} images and nothing else",
            )
        ((dtype, sizes),) = inputs
        first, last = (sizes[place] in (1, 3) for place in (1, 3))
        layout = usual if first == last else "NCHW" if first else "NHWC"
        return cls(shape=tuple(sizes), dtype=dtype, layout=layout)

    @property
    def batch(self) -> int | None:
        """Images at once; None for any number."""
        return self.shape[0]

    @property
    def image(self) -> tuple[int | None, int | None, int | None]:
        """Channels, rows, columns; None where they may vary."""
        _, *sizes = self.shape
        if self.layout == "NHWC":
            sizes = [sizes[2], sizes[0], sizes[1]]
        return sizes[0], sizes[1], sizes[2]

    def sized(self, image: tuple[int, int, int]) -> list[int]:
        """The shape with channels, rows and columns of `image` where they may vary, batch 1."""
        channels, rows, columns = image
        last = self.layout == "NHWC"
        usual = (1, rows, columns, channels) if last else (1, channels, rows, columns)
        return [size or other for size, other in zip(self.shape, usual)]

    def arrange(self, images: Images) -> Images:
        """``(N, C, H, W)`` in the order and kind of numbers that the file reads."""
        ordered = images.transpose(0, 2, 3, 1) if self.layout == "NHWC" else images
        return np.ascontiguousarray(ordered, dtype=self.dtype)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class OpenedModel:
    """A file in its runtime, ready to run on the CPU."""

    runtime: str
    """Name and version, such as ``onnxruntime 1.32.0``."""
    input: InputSpec
    call: Callable[[Images], Logits]
    """Images as `InputSpec.arrange` gives them to ``(n, classes)``."""
    operators: Callable[[], Counter[str]]
    """What the runtime executes, after its optimiser where it tells that."""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """As in `Source`, where the file says it."""
    maps: Callable[[Images], dict[str, Logits]] | None = None
    """Images likewise to all outputs by name, where the format can have several."""
    bind: Callable[[Images], Callable[[], None]] | None = None
    """Makes what runs the same images again and again without copying them, where the runtime
    can."""

    def logits(self, batches: "Sequence[Tensor | Images]") -> Logits:
        """Outputs for images in ``(n, C, H, W)``, shape ``(N, classes)``."""
        rows: list[Logits] = []
        size = self.input.batch
        for batch in batches:
            values = batch if isinstance(batch, np.ndarray) else batch.cpu().numpy()
            images = self.input.arrange(values)
            step = size or len(images)
            for start in range(0, len(images), step):
                part = images[start : start + step]
                short = step - len(part)
                if short:  # of a file that takes so many images at once and no fewer
                    part = np.concatenate([part, np.repeat(part[-1:], short, axis=0)])
                rows.append(self.call(part)[: step - short])
        return np.concatenate(rows)

    def runner(self, image: tuple[int, int, int] | None = None) -> Callable[[], None]:
        """Runs one batch of random images, to be timed.

        Args:
            image: channels, rows, columns where these may vary; when not given the rows and
                columns of `preprocessing`, else 1. A batch that may vary is of one image.
        """
        shape = self.input.sized(image or (1, *self._told_size()))
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        images = (64 * values + 128).clip(0, 255) if self.input.dtype == "uint8" else values
        images = np.ascontiguousarray(images, dtype=self.input.dtype)

        if self.bind is not None:
            return self.bind(images)

        def run() -> None:
            self.call(images)

        return run

    def _told_size(self) -> tuple[int, int]:
        """Rows and columns as our files tell them; 1 where others mean something else by it."""
        told = self.preprocessing.get("size")
        if not isinstance(told, list) or [type(one) for one in told] != [int, int]:
            return 1, 1
        return max(1, told[0]), max(1, told[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What there is to say of a file that was written."""

    notes: tuple[str, ...] = ()
    """For the user, a sentence each."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For programs: how it was quantised, which versions wrote it."""


class Exporter(abc.ABC):
    """A format: one file, one registration (`supernet.export.registry`).

    A file of it is a path with the suffix of the format; what belongs to it (weights beside a
    graph) lies in the same folder under the same stem.
    """

    name: ClassVar[str]
    """On the command line: ``--openvino``."""
    title: ClassVar[str]
    """For people: ``OpenVINO IR``."""
    suffix: ClassVar[str]
    extra: ClassVar[str] = ""
    """Of this project, that installs what is needed; empty where nothing is."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Packages that are imported."""
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)
    runs_here: ClassVar[bool] = True
    """Whether its runtime exists on this kind of machine."""
    takes_maps: ClassVar[bool] = False
    """Whether it writes networks of several outputs (`Source.outputs`)."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference of a logit from torch that is rounding, in fp32, where logits are up to
    10."""

    @abc.abstractmethod
    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """Write the network of `source`.

        Raises:
            MissingPackageError: names the extra to install.
            ExportError: the converter failed; says with what.
            StorageError: the disk is full or refuses the write.
        """

    @abc.abstractmethod
    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """Load a file into its runtime; on one thread it computes on the one that calls.

        Raises:
            MissingPackageError: names the extra to install.
            FileFormatError: not such a file, or damaged.
        """

    def parts(self, path: Path) -> list[Path]:
        """A file and those that belong to it, such as weights beside a graph."""
        return [path]

    def check_folder(self, folder: Path) -> None:  # noqa: B027  # most write no name of their own
        """Refuse a folder in which something of the user's would be replaced.

        Args:
            folder: that files are written to; it need not be there.

        Raises:
            ExportError: names the file.
        """

    def check(self) -> None:
        """Refuse to go on where a package is missing.

        Raises:
            MissingPackageError: names the extra to install.
        """
        import importlib.util

        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                raise MissingPackageError(
                    f"{self.title}: needs the package {package}, which is not installed",
                    hint=f"install it: pip install 'supernet[{self.extra}]'",
                )
