"""What ``precision: auto`` stands for on a device."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import torch

from supernet.elastic.depthwise import has_kernel
from supernet.train.recipe import Precision, Recipe

__all__ = ["at_precision", "auto_precision", "autocast"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Within it, torch computes convolutions and products in `precision`, decided."""
    kind = _TYPES[precision]
    return torch.autocast(device.type, kind, enabled=kind != torch.float32)


def at_precision(recipe: Recipe, device: str) -> Recipe:
    """The recipe with ``auto`` decided for `device`; every other precision stays."""
    if recipe.precision != "auto":
        return recipe
    return replace(recipe, precision=auto_precision(device))


def auto_precision(device: str) -> Precision:
    """bf16 where the device computes in it at more than the speed of fp32, else fp32.

    GPUs do so from NVIDIA's Ampere and AMD's CDNA on, CPUs with AVX512-BF16 or AMX. There
    the depthwise gradients must be our own, since oneDNN's are slower than those of fp32.
    """
    kind = torch.device(device).type
    native = {"cpu": _cpu_is_native, "cuda": _gpu_is_native}.get(kind, lambda: False)
    return "bf16" if native() else "fp32"


def _cpu_is_native() -> bool:
    # a torch that cannot say what the processor does trains in fp32, as ever
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return has_kernel() and bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def _gpu_is_native() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
