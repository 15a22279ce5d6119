"""The model card: a page for whoever gets an exported folder."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from supernet.export.int8.telling import beside_float_told
from supernet.export.verification import ONE_OF
from torch import nn

from supernet.space import SubnetFile, total_macs, total_params

__all__ = ["Card", "milliseconds", "model_card", "thop_macs"]

_LISTED = 5  # of the most sensitive layers


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Card:
    """What a model card says."""

    file: SubnetFile
    """With predicted and measured values."""
    network: nn.Module
    """Plain, on the CPU, reading normalised images."""
    preprocessing: Mapping[str, Any]
    """As in `Source`."""
    files: Mapping[str, Mapping[str, Any]]
    """What was measured of each exported file, by name."""
    latency: Mapping[str, Any] | None
    """The prediction for this machine beside the measurement, where there is one."""


def thop_macs(network: nn.Module, shape: Sequence[int]) -> float:
    """Multiply-adds of one image as the package ``thop`` counts them.

    It adds four operations a value of batch norm and what poolings sum; many published figures
    are its.

    Args:
        network: plain, on the CPU.
        shape: ``(C, H, W)`` of an image.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it compares versions through distutils
        import thop

        own = copy.deepcopy(network)
        found, _ = thop.profile(own, (torch.zeros(1, *shape),), verbose=False)
    return float(found)


def model_card(card: Card) -> str:
    """Markdown: what the network is, what was measured, how to use it."""
    name = str(card.file.subnet)
    parts = [
        f"# A network of the space `{card.file.subnet.space}`\n\n`{name}`",
        _files(card),
        _finetuned(card.file),
        _network(card),
        _latency(card),
        _int8(card),
        _use(card),
        "## Classes\n\n"
        + "\n".join(f"{i}. {label}" for i, label in enumerate(card.preprocessing["classes"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def milliseconds(facts: Mapping[str, Any]) -> str:
    """The latency of a file in words; an export that was interrupted has none."""
    ms = facts.get("latency_ms")
    return "not timed" if ms is None else f"{ms:.3f} ms"


def _files(card: Card) -> str:
    one = ONE_OF[card.preprocessing["output"]]
    rows = [f"| file | top-1 | as in torch | {one} off by | latency | size |", "|---" * 6 + "|"]
    for name, facts in card.files.items():
        if "top1" not in facts:
            rows.append(f"| `{name}` | not run here | | | | {_size(facts['bytes'])} |")
            continue
        off = f"{facts['max_abs_diff']:.2g}" if facts["precision"] == "fp32" else ""
        rows.append(
            f"| `{name}` | {facts['top1']:.2f} % of {facts['images']} | "
            f"{facts['agreement']:.2f} % | {off} | "
            f"{milliseconds(facts)} | {_size(facts['bytes'])} |"
        )
    # formats are checked on images of their own: on fewer than ONNX files
    in_torch = {f["images"]: f["torch_top1"] for f in card.files.values() if "torch_top1" in f}
    told = ", ".join(f"{top1:.2f} % of {images}" for images, top1 in in_torch.items())
    torch_line = (
        f"\n\nThe same network in torch: {told} test images, those that files were checked on. "
        "*As in torch*: images whose best class is the same. Latencies: one thread of the "
        "machine that exported, batch 1."
        if in_torch
        else ""
    )
    said = [note for facts in card.files.values() for note in facts["notes"]]
    said += [
        beside_float_told(name, facts["beside_float"])
        for name, facts in card.files.items()
        if "beside_float" in facts
    ]
    notes = "".join(f"\n- {note}" for note in said)
    return "## Files\n\n" + "\n".join(rows) + torch_line + ("\n" + notes) * bool(notes)


def _finetuned(file: SubnetFile) -> str:
    if file.finetuned is None:
        return ""
    before, after = file.finetuned
    return (
        f"Finetuned after it was taken from its supernet: {before:.2f} % of the held-out images "
        f"before, {after:.2f} % after."
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _network(card: Card) -> str:
    subnet, first = card.file.subnet, card.file.operators[0]
    shape = (first.in_channels, subnet.resolution, subnet.resolution)
    macs, counted = total_macs(card.file.operators), thop_macs(card.network, shape)
    rows = {
        "Multiply-adds, convolutions and linear layers": f"{macs / 1e6:.2f} M",
        "Multiply-adds as `thop` counts them": f"{counted / 1e6:.2f} M",
        "Parameters": f"{total_params(card.file.operators) / 1e3:.1f} k",
        "Input": " x ".join(map(str, shape))
        + (", uint8 from 0 to 255" if card.preprocessing["pixels"] else ", float, normalised"),
        "Output": f"{len(card.preprocessing['classes'])} {card.preprocessing['output']}",
    }
    return "## Network\n\n| | |\n|---|---|\n" + "\n".join(
        f"| {key} | {value} |" for key, value in rows.items()
    )


def _latency(card: Card) -> str:
    if not card.latency:
        return ""
    found = card.latency
    low, high = found["low_ms"], found["high_ms"]
    interval = f" (nine in ten networks: {low:.3f} to {high:.3f} ms)" if low is not None else ""
    beside = " beside networks of known latency" if found["beside_known"] else ""
    text = (
        f"## Latency\n\nPredicted for `{found['target']}`, {found['precision']}: "
        f"{found['predicted_ms']:.3f} ms{interval}. Measured{beside}: "
        f"{found['measured_ms']:.3f} ms."
    )
    if found["within"]:
        return text
    known = low is not None
    chance = "One network in ten is, by chance; a" if known else "No interval is known. A"
    return text + (
        f"\n\n**The measurement is {'outside of the interval' if known else 'far off'}.** "
        f"{chance} subnet that a search chose is more often slower than predicted, since "
        "searches prefer subnets whose latency is predicted too low. If it is far off, build "
        "the table anew (`supernet latency build`): the runtime, its threads or the machine "
        "may have changed."
    )


def _int8(card: Card) -> str:
    facts = next((facts for facts in card.files.values() if "sensitivity" in facts), None)
    if facts is None:
        return ""
    layers = list(facts["sensitivity"].items())[:_LISTED]
    listed = "\n".join(f"| `{layer}` | {value:.2g} |" for layer, value in layers)
    return (
        f"## 8-bit integers\n\nWeights of {facts['weights_bits']} bits with a scale a channel, "
        f"ranges of activations by {facts['calibrator']}. The layers that suffer most when they "
        "alone are quantised (divergence of the probabilities, in nats):\n\n"
        f"| layer | divergence |\n|---|---|\n{listed}"
    )


def _use(card: Card) -> str:
    names = [name for name in card.files if name.endswith(".onnx")]
    if not names:
        return ""
    lowest = card.files[names[0]]["lowest_onnxruntime"]
    lines = [f"pip install 'onnxruntime>={lowest}' numpy pillow", "python predict.py --check"]
    lines += [f"python predict.py photo.jpg --model {name}" for name in names]
    facts = card.preprocessing
    scaled = (
        "The network reads pixels as they are."
        if facts["pixels"]
        else f"Pixels from 0 to 1 are normalised by mean {list(facts['mean'])} and standard "
        f"deviation {list(facts['std'])}."
    )
    cut = {
        "crop": f"cuts the centred square of {facts['frame']:g} times the short side",
        "pad": "puts black around a picture to make a square of it",
        "squash": "takes the whole picture, out of proportion",
    }[facts["fit"]]
    return (
        "## Use\n\n```\n" + "\n".join(lines) + "\n```\n\n"
        f"`predict.py` {cut}, scales it to {card.file.subnet.resolution} pixels, and classifies. "
        f"{scaled} The same facts are in the ONNX file (`metadata_props`)."
    )
