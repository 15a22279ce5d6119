"""What converters are given: a network on its own, example images, an exported program."""

import copy
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from supernet.export.contract import Source
from supernet.export.frames import failed_layer
from supernet.export.quiet import quiet, reason
from torch import Tensor, nn

from supernet.errors import ExportError
from supernet.models import Pool, SqueezeExcite

__all__ = [
    "ONE_IMAGE",
    "as_floats",
    "example",
    "exported",
    "one_image",
    "plain",
    "spelled_out",
    "varying_sizes",
]

ONE_IMAGE = "this format takes one image at a time; the batch is fixed at 1"

_ADVICE = ("The error above", "For ", "If you ", "consider ", "Caused by", "The following call")


def one_image(source: Source) -> Source:
    """The same, for a format that cannot vary the batch."""
    return replace(source, dynamic_batch=False)


def plain(source: Source) -> nn.Module:
    """A copy of the network that a converter may change."""
    network = copy.deepcopy(source.network).cpu().to(memory_format=torch.contiguous_format)
    return network.eval().requires_grad_(requires_grad=False)


def example(source: Source, batch: int = 1) -> Tensor:
    """Images of the right size and kind, all zeros."""
    dtype = torch.uint8 if source.pixels else torch.float32
    return torch.zeros((batch, *source.shape), dtype=dtype)


def varying_sizes(source: Source) -> Any:
    """The sizes of the input that may vary, as `torch.export` is told of them."""
    sizes: dict[int, Any] = {0: torch.export.Dim("batch")} if source.dynamic_batch else {}
    if source.multiple:
        for axis, name in ((2, "rows"), (3, "columns")):
            sizes[axis] = source.multiple * torch.export.Dim(name)
    return (sizes,) if sizes else None


def exported(source: Source) -> torch.export.ExportedProgram:
    """The network as `torch.export` sees it; with any number of images where asked for.

    Raises:
        ExportError: it cannot be exported; says why.
    """
    # a batch of 1 is taken for a constant even where it is declared to vary
    images, shapes = example(source, 2 if source.dynamic_batch else 1), varying_sizes(source)
    network = plain(source)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(network, (images,), dynamic_shapes=shapes)
    except Exception as error:  # of any kind: its own, and those of what it calls
        layer = failed_layer(error, network)
        where = f" in layer {layer}" if layer else ""
        raise ExportError(f"torch.export failed{where}: {reason(error, _ADVICE)}") from error
    _strip(program)
    return program


def _strip(program: torch.export.ExportedProgram) -> None:
    """Take out where each node came from: paths of this machine, half of a small file."""
    for node in program.graph.nodes:
        for key in ("stack_trace", "source_fn_stack", "from_node"):
            node.meta.pop(key, None)


def as_floats(source: Source) -> Source:
    """The same, for a format whose images are floats: pixels are floats from 0 to 255."""
    return replace(source, pixels=False)


class _Gate(nn.Module):
    """Squeeze-excite with hard-sigmoid, without this one operator, which XNNPACK lacks."""

    def __init__(self, block: SqueezeExcite) -> None:
        super().__init__()
        self.reduce, self.act, self.expand = block.reduce, block.act, block.expand

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3), keepdim=True)
        return x * (F.relu6(self.expand(self.act(self.reduce(pooled))) + 3.0) * (1 / 6))


class _Mean(nn.Module):
    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        pixel = x.mean((2, 3), keepdim=True)
        return pixel if self.keep else pixel.flatten(1)


class _Windows(nn.Module):
    """Average pooling whose windows stick out of the image, which counts the pixels inside.

    As a depthwise convolution and a factor for each pixel: few runtimes have it.

    Args:
        pool: this pooling.
        shape: ``(N, C, H, W)`` of what it reads.
    """

    def __init__(self, pool: nn.AvgPool2d, shape: torch.Size) -> None:
        super().__init__()
        self.size, self.stride = _side(pool.kernel_size), _side(pool.stride)
        inside = torch.ones(1, 1, *shape[2:])
        # the share of a window that lies inside: 1 where all of it does
        wanted = pool(inside).shape[2:]
        before = _side(pool.padding)
        after = [(n - 1) * self.stride + self.size - before - m for n, m in zip(wanted, shape[2:])]
        self.pads = [before, max(after[1], 0), before, max(after[0], 0)]
        window = torch.full((1, 1, self.size, self.size), self.size**-2.0)
        share = F.conv2d(F.pad(inside, self.pads), window, stride=self.stride)
        self.register_buffer("weight", window.repeat(shape[1], 1, 1, 1))
        self.register_buffer("factor", 1 / share)

    def forward(self, x: Tensor) -> Tensor:
        weight, factor = self.get_buffer("weight"), self.get_buffer("factor")
        means = F.conv2d(F.pad(x, self.pads), weight, stride=self.stride, groups=len(weight))
        return means * factor


def _side(sizes: int | tuple[int, int]) -> int:
    """Of a square."""
    return sizes if isinstance(sizes, int) else sizes[0]


def _read_shapes(network: nn.Module, images: Tensor) -> dict[nn.Module, torch.Size]:
    """What each average pooling reads whose windows stick out."""
    found: dict[nn.Module, torch.Size] = {}

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        found[module] = given[0].shape

    pools = [m for m in network.modules() if isinstance(m, nn.AvgPool2d)]
    hooks = [p.register_forward_pre_hook(note) for p in pools if p.padding or p.ceil_mode]
    if hooks:
        with torch.no_grad():
            network(images)
    for hook in hooks:
        hook.remove()
    return found


def spelled_out(source: Source) -> Source:
    """The same, hard-sigmoid, the global average and padded averages in simpler operators."""
    network = plain(source)
    reads = _read_shapes(network, example(source))
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SqueezeExcite) and isinstance(child.gate, nn.Hardsigmoid):
                setattr(parent, name, _Gate(child))
            elif isinstance(child, Pool):
                setattr(parent, name, _Mean(child.keep))
            elif isinstance(child, nn.AvgPool2d) and child in reads:
                setattr(parent, name, _Windows(child, reads[child]))
    return replace(source, network=network)
