"""A network in plain torch, which is all that it needs.

    from model import load

    network = load("model.safetensors")  # a torch.nn.Module in eval mode
    print(network)

The file of the weights says which layers there are; below stands what they are made of.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """Pixels from 0 to 255, ``(N, C, H, W)``, to what the network was trained on."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.std = nn.Buffer(torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """To the same shape."""
        return (x.float() / 255 - self.mean) / self.std


class GlobalMean(nn.Module):
    """The mean over rows and columns, as a single pixel where it is kept."""

    def __init__(self, keep: bool = False) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C)``."""
        return x.mean((2, 3), keepdim=self.keep)


class Gate(nn.Module):
    """Squeeze-excite: each channel times a number that all channels decide.

    A sigmoid, or a hard one, follows the hidden channels. Older files name no activation where
    it is relu with a hard one.
    """

    def __init__(self, channels: int, hidden: int, act: str = "", hard: bool = False) -> None:
        super().__init__()
        self.act = LAYERS[act or "relu"]()
        self.gate = nn.Hardsigmoid() if hard or not act else nn.Sigmoid()
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        hidden = self.act(self.reduce(x.mean((2, 3), keepdim=True)))
        gates: Tensor = self.gate(self.expand(hidden))
        return x * gates


class Residual(nn.Module):
    """The sum of two paths."""

    def __init__(self, main: list[Any], shortcut: list[Any]) -> None:
        super().__init__()
        self.main, self.shortcut = sequence(main), sequence(shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        out: Tensor = self.shortcut(x) + self.main(x)
        return out


class Scale(nn.Module):
    """A factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return x * self.weight.view(-1, 1, 1)


class Attention(nn.Module):
    """Attention of all pixels of a query to those of a key and a value that all heads share."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``(N, heads * D, H, W)`` and keys and values of D and V channels to heads * V."""
        images, _, *sides = query.shape
        asks = query.reshape(images, self.heads, key.shape[1], -1).transpose(2, 3)
        keys = key.flatten(2) * key.shape[1] ** -0.5
        shares = torch.softmax(torch.bmm(asks.reshape(images, -1, key.shape[1]), keys), 2)
        found = torch.bmm(shares, value.flatten(2).transpose(1, 2))
        found = found.reshape(images, self.heads, -1, value.shape[1]).transpose(2, 3)
        return found.reshape(images, -1, *sides)


class Concat(nn.Module):
    """The channels of several tensors one behind the other."""

    def forward(self, *parts: Tensor) -> Tensor:
        """``(N, C, H, W)`` of each to the sum of their channels."""
        return torch.cat(parts, 1)


class Add(nn.Module):
    """The sum of two tensors."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Twice ``(N, C, H, W)`` to the same."""
        return first + second


class Shift(nn.Module):
    """Without the first row and column, with zeros at the end where sizes are odd."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to one row and column less where their number is even."""
        height, width = x.shape[2:]
        return nn.functional.pad(x, (-1, int(width) % 2, -1, int(height) % 2))


class Parts(nn.Module):
    """Layers that read what others wrote.

    Each is a kind and its sizes, which tensors it reads, and which it writes; 0 is the input.
    """

    def __init__(self, *steps: list[Any]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(LAYERS[kind](*sizes) for (kind, *sizes), _, _ in steps)
        self.places = [(reads, writes) for _, reads, writes in steps]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        held = {0: x}
        for part, (reads, writes) in zip(self.parts, self.places):
            x = held[writes] = part(*[held[read] for read in reads])
        return x


class Backbone(nn.Sequential):
    """Layers whose outputs are the maps before each `nn.Identity`, the finest first."""

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, C, H, W)`` to maps, ``(N, c, H / stride, W / stride)`` each."""
        maps = []
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.Identity):
                maps.append(x)
        return maps


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "pixels": Pixels,
    "conv": lambda before, after, kernel, stride, groups, bias, padding=None, dilation=1: nn.Conv2d(
        before,
        after,
        kernel,
        stride,
        kernel // 2 if padding is None else padding,
        dilation,
        groups,
        bias,
    ),
    "pad": lambda left, right, top, bottom, value=0.0: nn.ConstantPad2d(
        (left, right, top, bottom), value
    ),
    "norm": lambda channels, eps: nn.BatchNorm2d(channels, eps=eps),
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
    "swish": nn.SiLU,
    "gate": Gate,
    "residual": Residual,
    "scale": Scale,
    "attention": Attention,
    "concat": Concat,
    "add": Add,
    "shift": Shift,
    "parts": Parts,
    "layers": lambda *layers: sequence(list(layers)),
    "maxpool": nn.MaxPool2d,
    "avgpool": lambda kernel, stride, padding, ceil: nn.AvgPool2d(
        kernel, stride, padding, ceil_mode=ceil, count_include_pad=False
    ),
    "mean": GlobalMean,
    "flatten": nn.Flatten,
    "linear": nn.Linear,
    "softmax": lambda: nn.Softmax(1),
    "map": nn.Identity,
}


def sequence(layers: list[Any]) -> nn.Sequential:
    """Layers in order, each a kind and its sizes."""
    kind = Backbone if ["map"] in layers else nn.Sequential
    return kind(*(LAYERS[kind](*sizes) for kind, *sizes in layers))


def load(path: str | Path) -> nn.Sequential:
    """The network of a file, in eval mode on the CPU; a backbone gives a list of maps."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    network = sequence(json.loads(header.pop("__metadata__")["layers"]))
    weights = {}
    for name, entry in header.items():
        dtype = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
        first, end = entry["data_offsets"]
        values = torch.frombuffer(data[start + first : start + end], dtype=dtype)
        weights[name] = values.view(entry["shape"])
    network.load_state_dict(weights)
    return network.eval()
