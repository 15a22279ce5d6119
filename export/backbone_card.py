"""The card of a backbone: a page for whoever gets its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.export.card import milliseconds

from supernet.space import Operator, Subnet, total_macs, total_params

__all__ = ["BackboneCard", "backbone_card"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class BackboneCard:
    """What the card says."""

    subnet: Subnet
    """That the backbone was taken from."""
    operators: Sequence[Operator]
    """Of the backbone, at the size of its images."""
    maps: Sequence[Mapping[str, Any]]
    """Of each output: ``name``, ``stride``, ``channels``, ``place``, ``height``, ``width``."""
    preprocessing: Mapping[str, Any]
    """As in `Source`, with the ``size`` of an image."""
    any_size: bool
    """Whether rows and columns may vary."""
    files: Mapping[str, Mapping[str, Any]]
    """What was measured of each file, by name."""
    price: Mapping[str, Any] | None
    """The predicted latency, and the measured one where it was measured."""


def backbone_card(card: BackboneCard) -> str:
    """Markdown: the maps, the files, what was measured, how to use it."""
    parts = [
        f"# A backbone of the space `{card.subnet.space}`\n\n`{card.subnet}`\n\n"
        "The layers of this network up to the last map below; its head is left out. Each map is "
        "the last one before the stride changes.",
        _maps(card),
        _files(card),
        _network(card),
        _latency(card),
        _use(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _maps(card: BackboneCard) -> str:
    rows, columns = card.preprocessing["size"]
    lines = [
        f"| output | stride | channels | at {rows} x {columns} | written by |",
        "|---" * 5 + "|",
    ]
    lines += [
        f"| `{m['name']}` | {m['stride']} | {m['channels']} | {m['height']} x {m['width']} | "
        f"{m['place']} |"
        for m in card.maps
    ]
    return "## Maps\n\n" + "\n".join(lines)


def _files(card: BackboneCard) -> str:
    lines = ["| file | maps off by, of their largest value | latency | size |", "|---" * 4 + "|"]
    for name, facts in card.files.items():
        worst = max(m["max_abs_diff"] / max(m["largest"], 1e-30) for m in facts["maps"].values())
        lines.append(
            f"| `{name}` | {worst:.1e} | {milliseconds(facts)} | {facts['bytes'] / 1e6:.2f} MB |"
        )
    images = next(iter(card.files.values()))["images"]
    notes = "".join(f"\n- {note}" for facts in card.files.values() for note in facts["notes"])
    return (
        "## Files\n\n" + "\n".join(lines) + f"\n\nEach compared with torch on {images} test images "
        "of this size. Latencies: one thread of the machine that exported, batch 1."
        + ("\n" + notes)
        * bool(notes)
    )


def _network(card: BackboneCard) -> str:
    told, (rows, columns) = card.preprocessing, card.preprocessing["size"]
    channels, last = card.operators[0].in_channels, card.maps[-1]["stride"]
    varies = f"; rows and columns in multiples of {last}" if card.any_size else ""
    numbers = "uint8 from 0 to 255" if told["pixels"] else "float, normalised"
    return (
        "## Network\n\n| | |\n|---|---|\n"
        f"| Multiply-adds at {rows} x {columns} | {total_macs(card.operators) / 1e6:.2f} M |\n"
        f"| Parameters | {total_params(card.operators) / 1e3:.1f} k |\n"
        f"| Input | {channels} x {rows} x {columns}, {numbers}{varies} |"
    )


def _latency(card: BackboneCard) -> str:
    if card.price is None:
        return ""
    found = card.price
    rows, columns = card.preprocessing["size"]
    text = (
        f"## Latency\n\nPredicted for `{found['target']}`, {found['precision']}, at {rows} x "
        f"{columns}: {found['predicted_ms']:.3f} ms, the sum over the operators that remain: "
        f"{found['measured']} measured at this size, {found['interpolated']} at other sizes, "
        f"{found['fitted']} priced by the table's model."
    )
    if found["measured_ms"] is None:
        return text
    beside = " beside networks of known latency" if found["beside_known"] else ""
    return f"{text} Measured{beside}: {found['measured_ms']:.3f} ms ({found['off']:+.1f} %)."


def _use(card: BackboneCard) -> str:
    name = next((name for name in card.files if name.endswith(".onnx")), None)
    if name is None:
        return ""
    lowest = card.files[name]["lowest_onnxruntime"]
    told = card.preprocessing
    scaled = (
        "It reads pixels as they are."
        if told["pixels"]
        else f"Pixels from 0 to 1 are normalised by mean {list(told['mean'])} and standard "
        f"deviation {list(told['std'])}."
    )
    names = ", ".join(m["name"] for m in card.maps)
    return (
        "## Use\n\n```\n"
        f"pip install 'onnxruntime>={lowest}' numpy pillow\n"
        "python predict.py --check\npython predict.py photo.jpg\n```\n\n```python\n"
        "import onnxruntime\n\n"
        f'session = onnxruntime.InferenceSession("{name}")\n'
        f'{names} = session.run(None, {{"images": images}})\n```\n\n'
        f"{scaled} The same facts, and the channels and strides of the maps, are in the file "
        "(`metadata_props`)."
    )
