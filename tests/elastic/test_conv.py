"""Elastic convolutions use the leading slices of the weights of their largest form."""

import pytest
import torch
import torch.nn.functional as F

from supernet.blocks import same_pads
from supernet.elastic import ElasticConv


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 2)])
def test_a_convolution_uses_the_leading_channels(kernel: int, stride: int) -> None:
    conv = ElasticConv(6, 8, kernels=(kernel,), stride=stride, bias=True)
    assert conv.bias is not None
    torch.nn.init.normal_(conv.bias)
    conv.activate(4, 5, kernel)
    x = torch.randn(2, 4, 9, 9)
    expected = F.conv2d(x, conv.weight[:5, :4], conv.bias[:5], stride, kernel // 2)
    torch.testing.assert_close(conv(x), expected)
    plain = torch.nn.Conv2d(4, 5, kernel, stride, kernel // 2)
    plain.load_state_dict(conv.active_state())
    torch.testing.assert_close(conv(x), plain(x))


@pytest.mark.parametrize("group_width", [0, 1])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (8, 9), (2, 1)])
def test_a_convolution_pads_as_tensorflow_does(
    size: tuple[int, int], kernel: int, group_width: int
) -> None:
    conv = ElasticConv(4, 4, kernels=(3, 5, 7), stride=2, group_width=group_width, same=True)
    conv.activate(4, 4, kernel)
    x = torch.randn(2, 4, *size)
    (top, bottom), (left, right) = (same_pads(length, kernel, 2) for length in size)
    weight, groups = conv.active_weight(), 4 if group_width else 1
    expected = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, 2, 0, 1, groups)
    assert expected.shape[2:] == tuple(-(-length // 2) for length in size)
    torch.testing.assert_close(conv(x), expected)


def test_a_convolution_is_made_in_its_largest_form() -> None:
    conv = ElasticConv(6, 8, kernels=(3,))
    assert conv(torch.randn(1, 6, 5, 5)).shape == (1, 8, 5, 5)
    assert conv.active_state()["weight"].shape == (8, 6, 3, 3)


def test_smaller_kernels_start_as_centres_of_the_largest() -> None:
    conv = ElasticConv(4, 4, kernels=(3, 5, 7), group_width=1)
    for kernel, margin in ((7, 0), (5, 1), (3, 2)):
        conv.activate(4, 4, kernel)
        centre = conv.weight[:, :, margin : 7 - margin, margin : 7 - margin]
        torch.testing.assert_close(conv.active_weight(), centre)


def test_smaller_kernels_pass_through_each_learned_matrix() -> None:
    # Once-for-All (arXiv:1908.09791), section 3.2: the centre, flattened, times a matrix
    conv = ElasticConv(4, 4, kernels=(3, 5, 7), group_width=1)
    for matrix in conv.transforms.parameters():
        torch.nn.init.normal_(matrix)
    assert sorted(dict(conv.transforms.named_parameters())) == ["5to3", "7to5"]
    conv.activate(3, 3, 3)
    matrices = dict(conv.transforms.named_parameters())
    expected = torch.empty(3, 1, 3, 3)
    for channel in range(3):
        five = matrices["7to5"] @ conv.weight[channel, 0, 1:6, 1:6].reshape(25)
        three = matrices["5to3"] @ five.view(5, 5)[1:4, 1:4].reshape(9)
        expected[channel, 0] = three.view(3, 3)
    torch.testing.assert_close(conv.active_weight(), expected)
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(conv(x), F.conv2d(x, expected, padding=1, groups=3))


@pytest.mark.parametrize("size", [14, 7])
def test_gradients_of_a_strided_pixel_of_few_channels(size: int) -> None:
    conv = ElasticConv(4, 2, stride=2).to(memory_format=torch.channels_last)
    for _ in range(20):  # oneDNN's own end the process within a few
        image = torch.randn(32, 4, size, size)
        x = image.to(memory_format=torch.channels_last).requires_grad_()
        conv.zero_grad()
        conv(x).square().sum().backward()
        plain, weight = image.double().requires_grad_(), conv.weight.detach().double()
        weight.requires_grad_()
        F.conv2d(plain, weight, stride=2).square().sum().backward()
        assert x.grad is not None
        assert plain.grad is not None
        torch.testing.assert_close(x.grad, plain.grad.float())
        torch.testing.assert_close(conv.weight.grad, weight.grad.float())  # type: ignore[union-attr]  # it has one


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(("along", "kernel"), [("rows", 7), ("rows", 3), ("columns", 5)])
def test_a_window_along_one_direction(along: str, kernel: int, same: bool) -> None:
    conv = ElasticConv(4, 5, kernels=(3, 5, 7), stride=2, same=same, along=along)
    for matrix in conv.transforms.parameters():
        torch.nn.init.normal_(matrix)
    assert conv.weight.shape[2:] == ((1, 7) if along == "rows" else (7, 1))
    conv.activate(3, 4, kernel)
    row = conv.weight[:4, :3].reshape(4, 3, 7)
    for large in range(7, kernel, -2):
        matrix = conv.transforms.get_parameter(f"{large}to{large - 2}")
        row = row[..., 1:-1] @ matrix.T
    lines = torch.randn(2, 3, 9, 8)
    before, after = same_pads(8, kernel, 2) if same else (kernel // 2, kernel // 2)
    expected = F.conv2d(F.pad(lines, (before, after)), row[:, :, None], stride=(1, 2))
    found = conv(lines) if along == "rows" else conv(lines.mT).mT
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("kernel", "reached"), [(7, set()), (5, {"7to5"}), (3, {"7to5", "5to3"})])
def test_only_matrices_on_the_way_to_the_kernel_learn(kernel: int, reached: set[str]) -> None:
    conv = ElasticConv(4, 4, kernels=(3, 5, 7), group_width=1, stride=2)
    conv.activate(2, 2, kernel)
    conv(torch.randn(1, 2, 8, 8)).square().sum().backward()
    assert {name for name, p in conv.transforms.named_parameters() if p.grad is not None} == reached
    assert conv.weight.grad is not None
    assert conv.weight.grad[:2].abs().sum() > 0
    assert conv.weight.grad[2:].abs().sum() == 0


def test_a_single_kernel_needs_no_matrix() -> None:
    conv = ElasticConv(4, 4, kernels=(3,), group_width=1)
    assert list(conv.state_dict()) == ["weight"]
