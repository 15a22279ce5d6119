"""Convolutions around slow kernels are the convolutions of torch, and so are their gradients."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.convolve import convolve, fast_convolutions
from supernet.elastic.depthwise import has_kernel

KINDS = {"dense": (8, 12, 1), "one": (1, 1, 1), "grouped": (8, 8, 2), "depthwise": (8, 8, 8)}


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_results_and_gradients_are_those_of_torch(kind: str, kernel: int, bias: bool) -> None:
    inputs, outputs, groups = KINDS[kind]
    weight = numbers(outputs, inputs // groups, kernel, kernel).requires_grad_()
    added = numbers(outputs).requires_grad_() if bias else None
    asked = itertools.product([(1, 1), (2, 2), (2, 1)], [0, 1, 2, 3], [1, 2], [(9, 8), (2, 1)])
    for strides, pad, dilation, size in asked:
        reach = dilation * (kernel - 1) + 1
        # torch 2.14 ends in a segmentation fault where outputs see nothing but padding
        if pad >= reach or min(size) + 2 * pad < reach:
            continue
        x = numbers(4, inputs, *size).contiguous(memory_format=torch.channels_last).requires_grad_()
        found = convolve(x, weight, added, strides, (pad, pad), dilation, groups, training=True)
        # in double precision torch's own gradients are right
        mine = [x, weight, *([] if added is None else [added])]
        leaves = [one.detach().double().requires_grad_() for one in mine]
        of_bias = leaves[2] if bias else None
        expected = F.conv2d(leaves[0], leaves[1], of_bias, strides, pad, dilation, groups)
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
        weights_of_sum = numbers(*found.shape)
        ours = torch.autograd.grad((found * weights_of_sum).sum(), mine)
        theirs = torch.autograd.grad((expected * weights_of_sum.double()).sum(), leaves)
        for one, other in zip(ours, theirs):
            torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_is_torch_s_to_the_last_bit(kind: str) -> None:
    inputs, outputs, groups = KINDS[kind]
    x, weight = numbers(4, inputs, 7, 7), numbers(outputs, inputs // groups, 3, 3)
    bias = numbers(outputs)
    found = convolve(x, weight, bias, (2, 2), (1, 1), 1, groups, training=False)
    assert torch.equal(found, F.conv2d(x, weight, bias, 2, 1, 1, groups))


class Same(nn.Conv2d):
    """A convolution of another's, which computes as it likes."""

    def forward(self, x: Tensor) -> Tensor:
        """Twice what it was made from gives."""
        return 2 * super().forward(x)


def network() -> nn.Sequential:
    """Depthwise, with and without bias; dense; some that stay as they are."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1, stride=2),
        nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False),
        nn.Conv2d(8, 8, 7, 1, 3, groups=8),
        Same(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 8, 3, padding=(2, 1), dilation=(2, 1)),
        nn.Conv2d(8, 4, 1),
    )
    return net.to(memory_format=torch.channels_last)


@pytest.mark.skipif(not has_kernel(), reason="supernet[fast] is not installed")
def test_a_plain_network_computes_the_same_in_another_way() -> None:
    net, x = network(), numbers(4, 3, 24, 24).contiguous(memory_format=torch.channels_last)
    seen: list[str] = []
    net[1].register_forward_hook(lambda _module, _x, out: seen.append(out.grad_fn.name()))
    results = []
    with fast_convolutions(net):
        results.append(net(x))
        changed = [name for name, module in net.named_children() if "forward" in vars(module)]
    results.append(net(x))
    assert changed == ["0", "1", "2", "7"]
    assert not any("forward" in vars(module) for module in net.modules())
    assert seen[0] != seen[1]  # the gradient is of another kind
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(out.square().sum(), list(net.parameters())) for out in results]
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_what_somebody_else_put_there_stays_and_errors_undo_the_rest() -> None:
    net = network()
    own = net[0].forward
    net[0].forward = own
    with pytest.raises(RuntimeError), fast_convolutions(net):
        net(numbers(1, 4, 24, 24))  # of four channels in place of three
    assert net[0].forward is own
    assert [name for name, module in net.named_children() if "forward" in vars(module)] == ["0"]
