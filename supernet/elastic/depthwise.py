"""Depthwise convolution on CPUs with a weight gradient of our own.

Half of a training step on a CPU is the weight gradient of depthwise convolutions with 5x5
and 7x7 kernels: oneDNN's takes 3 to 20 times as long as the loops below, which go over
positions with the channels innermost (the channels-last layout) and are compiled by Numba.
Without Numba (``pip install 'supernet[fast]'``), on other devices, types and layouts, and
for most 3x3 kernels, where oneDNN is as good, torch's own is taken. On small maps the
weights that only ever meet padding are left out, everywhere.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["depthwise_conv", "has_kernel", "weight_gradient"]

_PADDING, _PIXELS = 2, 4  # from 5x5 kernels on, and on maps of up to 2x2, ours is faster
_WORTH_A_THREAD = 2_000_000  # multiply-adds
_CHANNELS_LAST = torch.channels_last

Array = npt.NDArray[np.float32]


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
        if reach == 0:
            return x * weight.view(1, -1, 1, 1)
    if (
        (padding >= _PADDING or height * width <= _PIXELS)
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and weight.requires_grad
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and x.is_contiguous(memory_format=_CHANNELS_LAST)
        and has_kernel()
    ):
        out: Tensor = _Depthwise.apply(x, weight, stride, padding)
        return out
    return F.conv2d(x, weight, None, stride, padding, 1, len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.sizes = stride, padding
        return F.conv2d(x, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.sizes
        gradient = gradient.contiguous(memory_format=_CHANNELS_LAST)
        of_x, of_weight = None, None
        if ctx.needs_input_grad[0]:
            sides = [[stride] * 2, [padding] * 2, [1, 1]]
            wanted = [True, False, False]
            of_x, *_ = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, *sides, False, [0, 0], len(weight), wanted
            )
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, weight.shape[-1], stride, padding)
        return of_x, of_weight, None, None


def weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The gradient of a depthwise convolution's weight, shape ``(C, 1, K, K)``.

    Args:
        x: its input, ``(N, C, H, W)`` float32, channels last.
        gradient: of its output, ``(N, C, H', W')`` float32, channels last.
        kernel: K.
        stride: of the convolution.
        padding: of the convolution.
    """
    images = x.detach().permute(0, 2, 3, 1).numpy()  # (N, H, W, C)
    gradients = gradient.detach().permute(0, 2, 3, 1).numpy()  # (N, H', W', C)
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


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="supernet-depthwise")


@cache
def _compiled() -> Callable[[Array, Array, int, int, Array], None]:
    import numba

    njit: Any = numba.njit  # its overloads say less than this
    compiled: Callable[[Array, Array, int, int, Array], None] = njit(
        _accumulate, nogil=True, cache=True, error_model="numpy", fastmath={"contract"}
    )
    return compiled


def _accumulate(  # noqa: C901, PLR0912  # one nest of loops for the compiler
    x: Array, g: Array, stride: int, padding: int, sums: Array
) -> None:
    """Add to `sums` ``(K, K, C)`` what ``x (N, H, W, C)`` and ``g (N, H', W', C)`` give.

    Four output columns and two kernel columns at a time, so that a vector of sums is read
    and written once for eight multiply-adds; rows are padded once, so that the inner loops
    have no borders.
    """
    count, height, width, channels = x.shape
    out_height, out_width = g.shape[1], g.shape[2]
    kernel = sums.shape[0]
    s = stride
    rows = np.zeros((height, width + 2 * padding, channels), dtype=np.float32)
    for n in range(count):
        for h in range(height):
            for w in range(width):
                for c in range(channels):
                    rows[h, w + padding, c] = x[n, h, w, c]
        for oh in range(out_height):
            for kh in range(kernel):
                h = oh * s - padding + kh
                if h < 0 or h >= height:
                    continue
                ow = 0
                while ow + 4 <= out_width:
                    g0, g1, g2, g3 = (
                        g[n, oh, ow],
                        g[n, oh, ow + 1],
                        g[n, oh, ow + 2],
                        g[n, oh, ow + 3],
                    )
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
                    g0 = g[n, oh, ow]
                    for kw in range(kernel):
                        a, p0 = sums[kh, kw], rows[h, ow * s + kw]
                        for c in range(channels):
                            a[c] += p0[c] * g0[c]
                    ow += 1
