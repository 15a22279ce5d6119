"""Published latency tables of Once-for-All and ProxylessNAS become ours.

Files (YAML or JSON) of blocks whose keys spell out shapes; an operator that several rows are
of takes their mean, weighted by their counts. Three formats were published:

=================  ==================================================================
ProxylessNAS       ``expanded_conv-input:..-output:..-expand:3-kernel:5-stride:2-idskip:0``;
                   ReLU6, ``expand`` is the ratio, ``Logits`` holds the pooling too
Once-for-All       the same with ``-se:0-hs:1``; ``expand`` is the middle channels
NSGANetV2          ``MBConv-..-expand:3-..-se:0``, MobileNetV3; ``expand`` is the ratio,
                   and the activation is not said: that of the stage of these widths
=================  ==================================================================
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from supernet.errors import ConfigError, FileFormatError
from supernet.latency.published_text import read_numbers
from supernet.latency.table import LatencyTable, Row
from supernet.space import Operator, load_space
from supernet.space.operator import Activation, round_channels

__all__ = ["read_ofa_tables"]

_SHAPE = r"\d{1,5}(?:x\d{1,5}){0,2}"
_KEY = re.compile(
    rf"(?P<layer>\w{{1,40}})-input:(?P<input>{_SHAPE})-output:(?P<output>{_SHAPE})"
    r"(?P<rest>(?:-\w{1,20}:\d{1,5}(?:\.\d{1,4})?){0,12})",
    re.ASCII,
)
_FIELD = re.compile(r"-(\w+):([\d.]+)")
_SUFFIXES = (".yaml", ".yml", ".json")
_BLOCKS = ("expanded_conv", "MBConv")


@dataclass(frozen=True, slots=True)
class _Entry:
    layer: str
    input: tuple[int, int, int]
    """Height, width, channels."""
    output: tuple[int, int, int]
    fields: Mapping[str, float]
    mean_ms: float
    spread_ms: float
    count: float
    """Measurements that the mean is of; 1 where the file does not say."""


def read_ofa_tables(paths: Sequence[Path], target: str) -> LatencyTable:
    """One table from published files (of different input sizes, say).

    It has no correction and no known error: the published sums were meant to be added
    up as they are.

    Args:
        paths: of the files; a folder stands for all ``*.yaml``, ``*.yml`` and ``*.json``
            in it.
        target: name of the table.

    Raises:
        FileFormatError: not such a table; names the file and the line.
        ConfigError: a row that no operator has, or a time that is none.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise FileFormatError(
            f"{paths[0] if paths else 'nothing'}: no *.yaml, *.yml or *.json in it"
        )
    found: dict[Operator, list[_Entry]] = {}
    shares: dict[Operator, float] = {}
    for file in files:
        entries = list(_entries(file))
        mobilenet_v3 = any("hs" in entry.fields or "se" in entry.fields for entry in entries)
        for entry in entries:
            try:
                for operator, share in _operators(entry, mobilenet_v3=mobilenet_v3):
                    _check_output(operator, entry)
                    _row(operator, share, [entry])
                    if share > shares.get(operator, 0.0):  # better than one that names no time
                        found.pop(operator, None)
                    if share >= shares.setdefault(operator, share):
                        shares[operator] = share
                        found.setdefault(operator, []).append(entry)
            except KeyError as error:
                raise FileFormatError(f"{file}: {_shown(entry)}: it does not say {error}") from None
            except (ConfigError, ZeroDivisionError) as error:
                raise FileFormatError(f"{file}: {_shown(entry)}: {error}") from None
    repeated = [entries for entries in found.values() if len(entries) > 1]
    protocol: dict[str, Any] = {"statistic": "mean, as published", "files": len(files)}
    if repeated:
        protocol |= {"repeated": len(repeated), "apart": max(map(_apart, repeated))}
    return LatencyTable(
        target=target,
        device={"processor": "as published", "source": ", ".join(file.name for file in files)},
        protocol=protocol,
        rows={one: _row(one, shares[one], entries) for one, entries in found.items()},
    )


def _row(operator: Operator, share: float, entries: Sequence[_Entry]) -> Row:
    """The mean of all measurements, with their spread within and between files."""
    counts = np.array([entry.count for entry in entries])
    means = np.array([entry.mean_ms for entry in entries])
    spreads = np.array([entry.spread_ms for entry in entries])
    mean = float(np.average(means, weights=counts))
    if len(entries) == 1:
        return Row(operator=operator, ms=share * entries[0].mean_ms, spread_ms=float(spreads[0]))
    variance = np.average(spreads**2 + (means - mean) ** 2, weights=counts)
    return Row(operator=operator, ms=share * mean, spread_ms=float(np.sqrt(variance)))


def _apart(entries: Sequence[_Entry]) -> float:
    """How many times the longest of some times is the shortest."""
    times = [entry.mean_ms for entry in entries]
    return round(max(times) / max(min(times), 1e-6), 3) if max(times) else 1.0


def _check_output(operator: Operator, entry: _Entry) -> None:
    found = operator.out_height, operator.out_width
    if operator.op not in ("linear", "pool") and found != entry.output[:2]:
        raise ConfigError(f"stride {operator.stride} gives {found[0]}x{found[1]}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    return [path]


def _entries(path: Path) -> Iterator[_Entry]:
    """The rows of a file."""
    for where, key, numbers in read_numbers(path):
        parsed = _KEY.fullmatch(key)
        if not parsed:
            raise FileFormatError(f"{where}: not a key of a latency table: {key[:80]!r}")
        if "mean" not in numbers:
            raise FileFormatError(f"{where}: {key}: no mean")
        yield _Entry(
            layer=parsed["layer"],
            input=_shape(parsed["input"]),
            output=_shape(parsed["output"]),
            fields={name: float(value) for name, value in _FIELD.findall(parsed["rest"])},
            mean_ms=numbers["mean"],
            spread_ms=numbers.get("std", math.sqrt(numbers.get("var", 0.0))),
            count=numbers.get("count") or 1.0,
        )


def _shape(text: str) -> tuple[int, int, int]:
    sizes = [int(size) for size in text.split("x")]
    if len(sizes) == 3:
        return sizes[0], sizes[1], sizes[2]
    return 1, 1, sizes[-1]


def _shown(entry: _Entry) -> str:
    shapes = ("x".join(map(str, shape)) for shape in (entry.input, entry.output))
    return f"{entry.layer}-" + "-".join(shapes)


def _operators(entry: _Entry, *, mobilenet_v3: bool) -> Iterator[tuple[Operator, float]]:
    """The operators of a row, with their share of its time."""
    (height, width, before), (*_, after) = entry.input, entry.output
    act: Activation = "hard_swish" if mobilenet_v3 else "relu6"
    size: dict[str, Any] = {"height": height, "width": width}
    if entry.layer in _BLOCKS:
        yield _block(entry, mobilenet_v3=mobilenet_v3), 1.0
    elif entry.layer in ("Conv", "first_conv"):
        stride = round(height / entry.output[0])
        yield (
            Operator(
                op="conv",
                in_channels=before,
                out_channels=after,
                kernel=3,
                stride=stride,
                act=act,
                **size,
            ),
            1.0,
        )
    elif entry.layer in ("Conv_1", "final_expand_layer"):
        yield Operator(op="conv", in_channels=before, out_channels=after, act=act, **size), 1.0
        if entry.layer == "final_expand_layer":  # this format has no row for the pooling
            yield _pool(after, height, width), 0.0
    elif entry.layer in ("Conv_2", "feature_mix_layer"):
        yield Operator(op="linear", in_channels=before, out_channels=after, act=act), 1.0
    elif entry.layer == "AvgPool2D":
        yield _pool(before, height, width), 1.0
    elif entry.layer in ("Logits", "classifier"):
        yield Operator(op="linear", in_channels=before, out_channels=after, bias=True), 1.0
        if height * width > 1:  # ProxylessNAS: everything after the last convolution
            yield _pool(before, height, width), 0.0
    else:
        raise ConfigError(f"unknown layer {entry.layer[:40]!r}")


def _pool(channels: int, height: int, width: int) -> Operator:
    return Operator(
        op="pool", in_channels=channels, out_channels=channels, height=height, width=width
    )


def _block(entry: _Entry, *, mobilenet_v3: bool) -> Operator:
    (height, width, before), (*_, after), fields = entry.input, entry.output, entry.fields
    # Once-for-All writes the middle channels, the others the ratio
    mid = fields["expand"] if "hs" in fields else round_channels(before * fields["expand"])
    act: Activation = "relu6"
    if mobilenet_v3:
        act = _activation(fields, before, after)
    return Operator(
        op="dsconv" if mid == before else "mbconv",
        in_channels=before,
        mid_channels=int(mid),
        out_channels=after,
        kernel=_whole(fields, "kernel"),
        stride=_whole(fields, "stride"),
        act=act,
        se=round_channels(mid // 4) if fields.get("se") else 0,
        shortcut="identity" if fields["idskip"] else "none",
        height=height,
        width=width,
    )


def _whole(fields: Mapping[str, float], name: str) -> int:
    value = fields[name]
    if value != int(value):
        raise ConfigError(f"{name}: must be a whole number, found {value}")
    return int(value)


def _activation(fields: Mapping[str, float], before: int, after: int) -> Activation:
    if "hs" in fields:
        return "hard_swish" if fields["hs"] else "relu"
    found = _stage_activations().get((before, after))
    if found is None:
        raise ConfigError(f"no stage of MobileNetV3 goes from {before} to {after} channels")
    return found


@cache
def _stage_activations() -> dict[tuple[int, int], Activation]:
    """The activation of MobileNetV3's blocks by their input and output channels."""
    found: dict[tuple[int, int], Activation] = {}
    for name in ("mobilenet_v3", "mobilenet_v3_w1.2"):
        space = load_space(name)
        before = space.stem.width[0]
        for stage in space.stages:
            after = stage.width[0]
            found[before, after] = found[after, after] = stage.act
            before = after
    return found
