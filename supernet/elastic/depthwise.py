"""Depthwise convolution on CPUs with a weight gradient of our own.

Half of a training step on a CPU is the weight gradient of depthwise convolutions with 5x5
and 7x7 kernels: oneDNN's takes 3 to 20 times as long as the loops below, which go over
positions with the channels innermost (the channels-last layout) and are compiled by Numba.
Without Numba (``pip install 'supernet[fast]'``), on other devices, types and layouts, and
for most 3x3 kernels, where oneDNN is as good, torch's own is taken. On small maps the
weights that only ever meet padding are left out, everywhere.

In bfloat16 oneDNN has no fast data gradient of strided convolutions either (27 to
110 times the time of float32): it is computed in float32.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.places import can_write, user_folder

__all__ = ["depthwise_conv", "has_kernel", "weight_gradient"]

_KERNEL, _PIXELS = 5, 4  # from 5x5 kernels on, and on maps of up to 2x2, ours is faster
_WORTH_A_THREAD = 2_000_000  # multiply-adds
_CHANNELS_LAST = torch.channels_last
_DTYPES = torch.float32, torch.bfloat16

Array = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
"""Of bfloat16, which NumPy does not know, or of float32: the same but for 16 bits behind."""


@cache
def has_kernel() -> bool:
    """Whether Numba is there."""
    return find_spec("numba") is not None


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """`F.conv2d` with one group a channel.

    Args:
        x: shape ``(N, C, H, W)``.
        weight: shape ``(C, 1, K, K)``.
        stride: of both directions.
        padding: of all sides.
    """
    height, width = x.shape[2:]
    reach = max(height, width) - 1
    if padding > reach:  # the outer weights only ever meet padding
        weight = weight[:, :, padding - reach : reach - padding, padding - reach : reach - padding]
        padding = reach
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    if padding == 0 and height == width == 1:
        return x * weight.view(1, -1, 1, 1).to(x.dtype)
    if (
        x.device.type == "cpu"
        and _has_slow_gradient(x.dtype, stride, weight.shape[-1], height * width)
        and weight.dtype in (torch.float32, x.dtype)
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.is_contiguous(memory_format=_CHANNELS_LAST)
        and has_kernel()
    ):
        out: Tensor = _Depthwise.apply(x, weight, stride, padding)
        return out
    return F.conv2d(x, weight, None, stride, padding, 1, len(weight))


def _has_slow_gradient(dtype: torch.dtype, stride: int, kernel: int, pixels: int) -> bool:
    """Whether one of oneDNN's gradients is slower than ours."""
    if dtype == torch.bfloat16 and stride > 1:
        return True
    return dtype in _DTYPES and _has_slow_weight_gradient(kernel, pixels)


def _has_slow_weight_gradient(kernel: int, pixels: int) -> bool:
    return kernel >= _KERNEL or pixels <= _PIXELS


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.sizes = stride, padding
        return F.conv2d(x, weight.to(x.dtype), None, stride, padding, 1, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.sizes
        gradient = gradient.contiguous(memory_format=_CHANNELS_LAST)
        of_x, of_weight = None, None
        if ctx.needs_input_grad[0]:
            of_x = data_gradient(x, gradient, weight, stride, padding)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, weight.shape[-1], stride, padding)
            of_weight = of_weight.to(weight.dtype)
        return of_x, of_weight, None, None


def data_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The gradient of a depthwise convolution's input.

    Args:
        x: the input, ``(N, C, H, W)`` float32 or bfloat16, channels last.
        gradient: of the output, ``(N, C, H', W')`` of the same type, channels last.
        weight: ``(C, 1, K, K)``.
        stride: of the convolution.
        padding: of the convolution.
    """
    dtype = torch.float32 if stride > 1 else x.dtype
    like = x if x.dtype == dtype else torch.empty_like(x, dtype=dtype)  # only its shape counts
    return _torchs(gradient.to(dtype), like, weight.to(dtype), stride, padding, 0).to(x.dtype)


def weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The gradient of a depthwise convolution's weight, shape ``(C, 1, K, K)``, float32.

    Args:
        x: as of `data_gradient`.
        gradient: likewise.
        kernel: K.
        stride: of the convolution.
        padding: of the convolution.
    """
    if not _has_slow_weight_gradient(kernel, x.shape[2] * x.shape[3]):
        weight = x.new_empty(x.shape[1], 1, kernel, kernel)  # only its shape counts
        return _torchs(gradient, x, weight, stride, padding, 1).float()
    images, gradients = _bits(x), _bits(gradient)  # (N, H, W, C), (N, H', W', C)
    work = gradients.size * kernel**2
    parts = max(1, min(torch.get_num_threads(), len(images), work // _WORTH_A_THREAD))
    sums = np.zeros((parts, kernel, kernel, images.shape[-1]), dtype=np.float32)
    accumulate = _compiled()
    ends = np.linspace(0, len(images), parts + 1).astype(int).tolist()
    jobs = [
        (images[start:end], gradients[start:end], stride, padding, sums[part])
        for part, (start, end) in enumerate(itertools.pairwise(ends))
    ]
    waiting = [_pool().submit(accumulate, *job) for job in jobs[1:]]
    accumulate(*jobs[0])
    for other in waiting:
        other.result()
    total = torch.from_numpy(sums.sum(0) if parts > 1 else sums[0])  # (K, K, C)
    return total.permute(2, 0, 1).unsqueeze(1).contiguous()


def _torchs(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, number: int
) -> Tensor:
    """What torch finds: number 0 is the gradient of `x`, number 1 that of `weight`."""
    wanted = [number == 0, number == 1, False]
    sides = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0]
    found = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, *sides, len(weight), wanted
    )
    of_one: Tensor = found[number]
    return of_one


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="supernet-depthwise")


def _bits(values: Tensor) -> Bits:
    """``(N, C, H, W)`` channels last as ``(N, H, W, C)``, without a copy."""
    bits = torch.uint16 if values.dtype == torch.bfloat16 else torch.uint32
    found: Bits = values.detach().permute(0, 2, 3, 1).view(bits).numpy()
    return found


@cache
def _compiled() -> Callable[[Bits, Bits, int, int, Array], None]:
    import numba

    njit: Any = numba.njit  # its overloads say less than this
    config: Any = numba.config  # a module that fills itself
    before = config.CACHE_DIR
    kept = before or can_write(Path(__file__).parent / "__pycache__")
    try:
        if not kept:  # Numba would take a home folder, also where there is none
            config.CACHE_DIR = str(user_folder() / "numba")
        compiled: Callable[[Bits, Bits, int, int, Array], None] = njit(
            _accumulate,
            nogil=True,
            cache=bool(kept) or can_write(user_folder() / "numba"),
            error_model="numpy",
            fastmath={"contract"},
        )
    finally:
        config.CACHE_DIR = before
    return compiled


def _accumulate(  # noqa: C901, PLR0912  # one nest of loops for the compiler
    x: Bits, gradient: Bits, stride: int, padding: int, sums: Array
) -> None:
    """Add to `sums` ``(K, K, C)`` what ``x (N, H, W, C)`` and ``(N, H', W', C)`` give.

    Four output columns and two kernel columns at a time, so that a vector of sums is read
    and written once for eight multiply-adds; rows are padded and made float32 once, so that
    the inner loops have no borders and no conversions.
    """
    count, height, width, channels = x.shape
    out_height, out_width = gradient.shape[1], gradient.shape[2]
    kernel = sums.shape[0]
    s = stride
    shift = 8 * (4 - x.itemsize)
    row_bits = np.zeros((height, width + 2 * padding, channels), dtype=np.uint32)
    g_bits = np.empty((out_width, channels), dtype=np.uint32)
    rows, g = row_bits.view(np.float32), g_bits.view(np.float32)
    for n in range(count):
        for h in range(height):
            for w in range(width):
                for c in range(channels):
                    row_bits[h, w + padding, c] = np.uint32(x[n, h, w, c]) << shift
        for oh in range(out_height):
            for ow in range(out_width):
                for c in range(channels):
                    g_bits[ow, c] = np.uint32(gradient[n, oh, ow, c]) << shift
            for kh in range(kernel):
                h = oh * s - padding + kh
                if h < 0 or h >= height:
                    continue
                ow = 0
                while ow + 4 <= out_width:
                    g0, g1, g2, g3 = g[ow], g[ow + 1], g[ow + 2], g[ow + 3]
                    kw = 0
                    while kw + 2 <= kernel:
                        i = ow * s + kw
                        a, b = sums[kh, kw], sums[kh, kw + 1]
                        p0, p1, p2, p3 = (
                            rows[h, i],
                            rows[h, i + s],
                            rows[h, i + 2 * s],
                            rows[h, i + 3 * s],
                        )
                        i += 1
                        q0, q1, q2, q3 = (
                            rows[h, i],
                            rows[h, i + s],
                            rows[h, i + 2 * s],
                            rows[h, i + 3 * s],
                        )
                        for c in range(channels):
                            a[c] += p0[c] * g0[c] + p1[c] * g1[c] + p2[c] * g2[c] + p3[c] * g3[c]
                            b[c] += q0[c] * g0[c] + q1[c] * g1[c] + q2[c] * g2[c] + q3[c] * g3[c]
                        kw += 2
                    if kw < kernel:
                        i = ow * s + kw
                        a = sums[kh, kw]
                        p0, p1, p2, p3 = (
                            rows[h, i],
                            rows[h, i + s],
                            rows[h, i + 2 * s],
                            rows[h, i + 3 * s],
                        )
                        for c in range(channels):
                            a[c] += p0[c] * g0[c] + p1[c] * g1[c] + p2[c] * g2[c] + p3[c] * g3[c]
                    ow += 4
                while ow < out_width:
                    g0 = g[ow]
                    for kw in range(kernel):
                        a, p0 = sums[kh, kw], rows[h, ow * s + kw]
                        for c in range(channels):
                            a[c] += p0[c] * g0[c]
                    ow += 1
