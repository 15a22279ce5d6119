"""The model card: a page for whoever gets an exported file."""

from collections.abc import Mapping
from typing import Any

from supernet.export.verification import Verification

from supernet.space import SubnetFile, total_macs, total_params

__all__ = ["model_card"]

_USE = """import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{name}")
pixels = ...  # float32, shape ({channels}, {size}, {size}), values from 0 to 1
images = (pixels - np.reshape({mean}, (-1, 1, 1))) / np.reshape({std}, (-1, 1, 1))
logits = session.run(None, {{"images": images[None].astype(np.float32)}})[0]
"""


def model_card(
    file: SubnetFile, name: str, verification: Verification, preprocessing: Mapping[str, Any]
) -> str:
    """Markdown: what the network is, what was measured, how to use it.

    Args:
        file: the subnet with its predicted and measured values.
        name: of the ONNX file.
        verification: ONNX Runtime against torch.
        preprocessing: ``classes``, ``mean`` and ``std``.
    """
    subnet, first = file.subnet, file.operators[0]
    rows = {
        "Accuracy (top-1, test images)": f"{verification.top1:.2f} % of {verification.images}",
        "The same in torch": f"{verification.torch_top1:.2f} %",
        "Largest difference of a logit": f"{verification.max_abs_diff:.2g}",
        "Latency here (ONNX Runtime, 1 thread)": f"{file.measured['latency_ms']:.3f} ms",
        "Multiply-adds": f"{total_macs(file.operators) / 1e6:.2f} M",
        "Parameters": f"{total_params(file.operators) / 1e3:.1f} k",
        "Input": f"{first.in_channels} x {subnet.resolution} x {subnet.resolution}, fp32",
    }
    if "latency_ms" in file.predicted:
        target = file.predicted.get("target", "?")
        rows[f"Predicted latency ({target})"] = f"{file.predicted['latency_ms']:.3f} ms"
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    classes = "\n".join(f"{i}. {label}" for i, label in enumerate(preprocessing["classes"]))
    use = _USE.format(
        name=name,
        channels=first.in_channels,
        size=subnet.resolution,
        mean=list(preprocessing["mean"]),
        std=list(preprocessing["std"]),
    )
    return (
        f"# {name}\n\nA subnet of the space `{subnet.space}`: `{subnet}`\n\n"
        f"| | |\n|---|---|\n{table}\n\n## Use\n\n```python\n{use}```\n\n"
        f"## Classes\n\n{classes}\n"
    )
