"""Plain PyTorch: weights, and a page of code that needs torch alone."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import safetensors.torch
import torch
from supernet.export import plain_model
from supernet.export.contract import (
    Exporter,
    InputSpec,
    OpenedModel,
    Precision,
    Source,
    Written,
)
from supernet.export.formats.torch_export import maps_on, run_on
from supernet.export.quiet import reason
from supernet.export.sources import plain
from supernet.export.staging import staged
from torch import nn

from supernet.elastic import Shift
from supernet.errors import ExportError, FileFormatError
from supernet.models import (
    Add,
    Attention,
    Backbone,
    Chain,
    Concat,
    ConvBlock,
    ConvNorm,
    Linear,
    Network,
    Pool,
    SamePad,
    Scale,
    Shortcut,
    SqueezeExcite,
    WindowPool,
)
from supernet.progress import Progress, silent

__all__ = ["PyTorch", "layers_of"]

Layer: TypeAlias = list[Any]
"""A kind of `supernet.export.plain_model` and its sizes."""

CODE = "model.py"
_LOWEST = torch.finfo(torch.float32).min
"""Stands around what a maximum is taken of; JSON has no infinity."""
_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hard_swish",
    nn.SiLU: "swish",
}
_GATE_ACTS = _ACTIVATIONS | {nn.Identity: "none"}
_SIZELESS = _ACTIVATIONS | {Concat: "concat", Add: "add", Shift: "shift"}


class PyTorch(Exporter):
    """``<stem>.safetensors``, and beside it ``model.py``, the same for all networks.

    The weights' file says which layers there are. So a folder may hold several, and a file is
    opened without executing what lies beside it.
    """

    name, title, suffix = "pytorch", "PyTorch", ".safetensors"
    takes_maps = True

    def write(
        self,
        source: Source,
        path: Path,
        precision: Precision = "fp32",
        progress: Progress = silent,
    ) -> Written:
        """See `Exporter.write`."""
        del precision, progress
        self.check_folder(path.parent)
        network = plain(source)
        layers = layers_of(network, source)
        same = plain_model.sequence(layers)
        _copy_weights(network, same)
        metadata = {
            "format": "pt",
            "layers": json.dumps(layers),
            "input": json.dumps([*source.shape, "uint8" if source.pixels else "float32"]),
            "preprocessing": json.dumps(dict(source.preprocessing)),
        }
        data = safetensors.torch.save(dict(same.state_dict()), metadata)
        with staged(path) as folder:
            (folder / CODE).write_text(_code(), encoding="utf-8")
            (folder / path.name).write_bytes(data)
        note = f"{CODE} beside it needs torch alone: from model import load"
        return Written(notes=(note,), facts={"torch": torch.__version__})

    def check_folder(self, folder: Path) -> None:
        """See `Exporter.check_folder`."""
        code = folder / CODE
        if code.is_file() and not _is_ours(code):
            raise ExportError(
                f"{code}: is there already and is not what {self.title} would write",
                hint="export to another folder",
            )

    def open(self, path: Path, threads: int = 1) -> OpenedModel:
        """See `Exporter.open`."""
        try:
            metadata = _metadata(path)
            network = plain_model.load(path)
            *shape, dtype = json.loads(metadata["input"])
            preprocessing = json.loads(metadata["preprocessing"])
            spec = InputSpec(shape=(None, *map(int, shape)), dtype=str(dtype))
        except FileFormatError:
            raise
        except OSError as error:
            why = error.strerror or reason(error)
            raise FileFormatError(f"{path}: cannot be read: {why}") from error
        except Exception as error:  # of any kind: what a stranger wrote may fail anywhere
            raise FileFormatError(f"{path}: not such a network: {reason(error)}") from error
        return OpenedModel(
            runtime=f"torch {torch.__version__}",
            input=spec,
            call=partial(run_on, network, threads),
            maps=partial(maps_on, network, threads, preprocessing),
            operators=partial(_kinds, network),
            preprocessing=preprocessing,
        )


def _metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    if "layers" not in metadata:
        raise FileFormatError(f"{path}: holds weights without the layers they belong to")
    return metadata


def _kinds(network: nn.Module) -> Counter[str]:
    leaves = [module for module in network.modules() if not list(module.children())]
    return Counter(type(module).__name__ for module in leaves)


def _code() -> str:
    return Path(plain_model.__file__).read_text(encoding="utf-8")


def _is_ours(file: Path) -> bool:
    first, *_ = _code().splitlines()
    with file.open(encoding="utf-8", errors="replace") as handle:
        return handle.readline().strip() == first


def layers_of(network: nn.Module, source: Source) -> list[Layer]:
    """A network in the words of `supernet.export.plain_model`.

    Raises:
        ExportError: it is made of something else.
    """
    found = _whole(network)
    ends = found.ends if isinstance(found, Backbone) else frozenset()
    layers: list[Layer] = []
    if isinstance(found, Network) and found.steps:
        own = zip(found.layers, found.steps)
        layers.append(["parts", *([_single(_steps(layer)), *places] for layer, places in own)])
    else:
        for index, layer in enumerate(found.layers):
            layers += [*_steps(layer), *[["map"]] * (index in ends)]
    if source.pixels:
        told = source.preprocessing
        layers.insert(0, ["pixels", list(told["mean"]), list(told["std"])])
    if source.preprocessing.get("output") == "probabilities":
        layers.append(["softmax"])
    return layers


def _whole(network: nn.Module) -> Network | Backbone:
    """The network itself, without what was put around it."""
    found = [module for module in network.modules() if isinstance(module, Network | Backbone)]
    if len(found) != 1:
        raise ExportError(f"PyTorch: expected a network of this project, found {type(network)}")
    return found[0]


def _steps(module: nn.Module | None) -> Iterator[Layer]:
    """The layers of one module, in the order in which its weights are registered."""
    match module:
        case None | nn.Identity():
            return
        case Chain() | ConvBlock():
            yield from _block(module)
        case ConvNorm():
            for part in (module.pad, module.conv, module.norm, module.act):
                yield from _steps(part)
        case Shortcut():
            for other in (module.pool, module.conv, module.norm):
                yield from _steps(other)
        case SqueezeExcite():
            sizes = module.reduce.in_channels, module.reduce.out_channels
            hard, act = isinstance(module.gate, nn.Hardsigmoid), _GATE_ACTS[type(module.act)]
            yield ["gate", *sizes, act, hard]
        case Pool() | WindowPool():
            yield from _pooling(module)
        case Linear():
            linear = module.linear
            yield from [["flatten"]] * module.flattens
            yield ["linear", linear.in_features, linear.out_features, linear.bias is not None]
            yield from _steps(module.act)
        case _:
            yield _leaf(module)


def _pooling(module: Pool | WindowPool) -> Iterator[Layer]:
    if isinstance(module, Pool):
        yield from _steps(module.act)
        yield ["mean", *[True] * module.keep]
        return
    if any(module.sides):
        yield ["pad", *module.sides, *[_LOWEST] * isinstance(module.pool, nn.MaxPool2d)]
    yield from _steps(module.pool)


def _block(block: Chain | ConvBlock) -> Iterator[Layer]:
    if isinstance(block, ConvBlock):
        parts = (block.pad, block.conv, block.norm, block.act, block.se)
        main = [step for part in parts for step in _steps(part)]
    else:
        main = list(_main(block))
    if block.shortcut is None:
        yield from main
    else:
        yield ["residual", main, list(_steps(block.shortcut))]
    if isinstance(block, Chain):
        yield from _steps(block.act)


def _main(block: Chain) -> Iterator[Layer]:
    """All of a block but its shortcut: layer by layer where each reads the one before it."""
    steps: list[Layer] = []
    for name, reads, writes, gated in block.steps:
        own = [*_steps(block.get_submodule(name)), *_steps(block.se if gated else None)]
        steps.append([_single(own), list(reads), writes])
    if all(reads == [writes] == [0] for _, reads, writes in steps):
        for layer, *_ in steps:
            yield from layer[1:] if layer[0] == "layers" else [layer]
    else:
        yield ["parts", *steps]


def _single(layers: Iterable[Layer]) -> Layer:
    """As one layer."""
    found = list(layers)
    return found[0] if len(found) == 1 else ["layers", *found]


def _side(sizes: Any) -> int | list[int]:
    """One number where rows and columns have the same."""
    rows, columns = sizes
    return rows if rows == columns else [rows, columns]


def _leaf(module: nn.Module) -> Layer:  # noqa: PLR0911  # a line for each kind of layer
    match module:
        case nn.Conv2d():
            before, after, groups = module.in_channels, module.out_channels, module.groups
            kernel, stride, padding = map(
                _side, (module.kernel_size, module.stride, module.padding)
            )
            layer = ["conv", before, after, kernel, stride, groups, module.bias is not None]
            if module.dilation[0] > 1:
                return [*layer, padding, module.dilation[0]]
            usual = isinstance(kernel, int) and padding == kernel // 2
            return layer if usual else [*layer, padding]
        case SamePad():
            return ["pad", *module.sides]
        case nn.BatchNorm2d():
            return ["norm", module.num_features, module.eps]
        case nn.MaxPool2d():
            return ["maxpool", module.kernel_size, module.stride, module.padding]
        case nn.AvgPool2d():
            sizes = module.kernel_size, module.stride, module.padding
            return ["avgpool", *sizes, module.ceil_mode]
        case Scale():
            return ["scale", len(module.weight)]
        case Attention():
            return ["attention", module.heads]
    kind = _SIZELESS.get(type(module))
    if kind is None:
        raise ExportError(f"PyTorch: no layer stands for {module}")
    return [kind]


def _copy_weights(network: nn.Module, same: nn.Module) -> None:
    """Weights of the one into the other, module for module: both list them in the same order."""
    whole = _whole(network)
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, Scale, plain_model.Scale)
    theirs, ours = (
        [module for module in root.modules() if isinstance(module, kinds)] for root in (whole, same)
    )
    for module, other in zip(theirs, ours, strict=True):
        other.load_state_dict(module.state_dict())
