"""The depthwise weight gradient of our own is torch's; without Numba torch's is taken."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from supernet.elastic import depthwise
from supernet.elastic.depthwise import depthwise_conv, weight_gradient

needs_numba = pytest.mark.skipif(
    not depthwise.has_kernel(), reason="Numba is not installed: pip install 'supernet[fast]'"
)
TOLERANCE = 1e-5  # of the norm of torch's gradient


def channels_last(*shape: int) -> Tensor:
    return torch.randn(shape).to(memory_format=torch.channels_last)


def gradients(function: Any, x: Tensor, weight: Tensor, *sizes: int) -> list[Tensor]:
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    out = function(x, weight, *sizes)
    torch.manual_seed(1)
    (out.float() * torch.randn(out.shape)).sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    return [out.detach(), x.grad, weight.grad]


def of_torch(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    return F.conv2d(x, weight, None, stride, padding, 1, len(weight))


@needs_numba
@given(
    kernel=st.sampled_from([3, 5, 7, 9]),
    stride=st.sampled_from([1, 2, 3]),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    channels=st.integers(1, 33),
    images=st.integers(1, 5),
)
def test_gradients_are_torchs(
    kernel: int, stride: int, height: int, width: int, channels: int, images: int
) -> None:
    torch.manual_seed(0)
    x, weight = (
        channels_last(images, channels, height, width),
        torch.randn(channels, 1, kernel, kernel),
    )
    sizes = stride, kernel // 2
    found = gradients(depthwise_conv, x, weight, *sizes)
    for ours, theirs in zip(found, gradients(of_torch, x, weight, *sizes)):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= TOLERANCE * theirs.norm()


@needs_numba
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 9, 14])
def test_bfloat16_gradients_are_those_of_the_same_values_in_float32(
    kernel: int, stride: int, size: int
) -> None:
    torch.manual_seed(0)
    x, weight = channels_last(3, 24, size, size).bfloat16(), torch.randn(24, 1, kernel, kernel)
    weight = weight.bfloat16().float()  # the same numbers in both types
    sizes = stride, kernel // 2
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(depthwise_conv, x, weight, *sizes)
        plain = gradients(of_torch, x, weight, *sizes)
    expected = gradients(of_torch, x.float(), weight, *sizes)
    assert [each.dtype for each in found] == [torch.bfloat16, torch.bfloat16, torch.float32]
    for ours, rounded, theirs in zip(found, plain, expected):
        # 8 bits of mantissa; on some processors torch itself rounds partial sums and has fewer
        allowed = max(2**-7 * theirs.norm(), (rounded.float() - theirs).norm())
        assert (ours.float() - theirs).norm() <= 1.001 * allowed


@needs_numba
@pytest.mark.parametrize("size", [14, 56])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_weight_gradient_of_bfloat16_sums_in_float32(stride: int, size: int) -> None:
    """No rounding but that of the images and gradients themselves."""
    torch.manual_seed(0)
    x, gradient = (
        channels_last(4, 16, length, length).bfloat16() for length in (size, size // stride)
    )
    found = weight_gradient(x, gradient, 5, stride, 2)
    expected = weight_gradient(x.float(), gradient.float(), 5, stride, 2)
    assert found.dtype == torch.float32
    assert (found - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_weights_that_only_meet_padding_are_left_out_without_a_trace(
    size: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise, "has_kernel", lambda: False)
    x, weight = channels_last(4, 8, size, size), torch.randn(8, 1, 7, 7)
    found = gradients(depthwise_conv, x, weight, stride, 3)
    for ours, theirs in zip(found, gradients(of_torch, x, weight, stride, 3)):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@needs_numba
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_images_and_give_the_same_sum_again(threads: int) -> None:
    torch.manual_seed(0)
    x, gradient = channels_last(7, 48, 24, 24), channels_last(7, 48, 24, 24)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        first, second = (weight_gradient(x, gradient, 7, 1, 3) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    weight = torch.zeros(48, 1, 7, 7).requires_grad_()
    of_torch(x, weight, 1, 3).backward(gradient)
    assert weight.grad is not None
    assert (first == second).all()
    assert (first - weight.grad).norm() <= TOLERANCE * weight.grad.norm()


@needs_numba
def test_a_gradient_in_another_layout_is_understood() -> None:
    x, weight = channels_last(2, 8, 9, 9).requires_grad_(), torch.randn(8, 1, 5, 5).requires_grad_()
    out = depthwise_conv(x, weight, 1, 2)
    gradient = torch.randn(2, 8, 9, 9)  # channels first
    found = torch.autograd.grad(out, (x, weight), gradient)
    expected = torch.autograd.grad(of_torch(x, weight, 1, 2), (x, weight), gradient)
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", ["no numba", "3x3", "channels first", "double", "no gradient"])
def test_torchs_own_is_taken_where_ours_is_not_meant(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> Tensor:
        raise AssertionError("our own gradient was taken")

    monkeypatch.setattr(depthwise._Depthwise, "apply", refuse)
    if case == "no numba":
        monkeypatch.setattr(depthwise, "has_kernel", lambda: False)
    kernel = 3 if case == "3x3" else 5
    x, weight = channels_last(2, 8, 9, 9), torch.randn(8, 1, kernel, kernel)
    if case == "channels first":
        x = x.contiguous()
    if case == "double":
        x, weight = x.double(), weight.double()
    weight.requires_grad_(case != "no gradient")
    out = depthwise_conv(x, weight, 1, kernel // 2)
    torch.testing.assert_close(out, of_torch(x, weight, 1, kernel // 2))
