"""The elastic convolution: weights of the largest form, sliced to the active one.

``N`` images, ``C`` channels, ``H`` rows, ``W`` columns, ``K`` and ``K'`` those of a window.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.blocks import sides
from supernet.elastic.convolve import convolve
from supernet.elastic.form import Elastic
from supernet.elastic.kernel import KernelTransform
from supernet.elastic.padding import least_pad, padded
from supernet.elastic.rounding import rounded_input, rounded_weight
from supernet.elastic.spans import Spans, picked

__all__ = ["ElasticConv"]


class ElasticConv(Elastic):
    """A convolution of which the leading channels are used, with one of several kernels.

    Args:
        in_channels: of the largest form.
        out_channels: of the largest form.
        kernels: sizes that can be asked for.
        stride: of all forms.
        group_width: channels of a group, which then has as many outputs as inputs; a
            narrower form has fewer groups. 1 is a depthwise convolution, 0 one group.
        bias: whether to add one.
        same: whether to pad as `supernet.blocks.same_pads` says, by half the kernel
            otherwise.
        valid: whether to pad nothing.
        dilation: steps between the values of a window.
        learned: whether smaller kernels have a learned transform.
        along: as of `supernet.blocks.Part`.
    """

    def __init__(  # noqa: PLR0913  # what a convolution has, each by its name
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernels: Sequence[int] = (1,),
        stride: int = 1,
        group_width: int = 0,
        bias: bool = False,
        same: bool = False,
        valid: bool = False,
        dilation: int = 1,
        learned: bool = True,
        along: str = "",
    ) -> None:
        super().__init__()
        largest = max(kernels)
        rows, columns = sides(largest, along)
        self.weight = nn.Parameter(
            torch.empty(out_channels, group_width or in_channels, rows, columns)
        )
        # He initialisation by what each input feeds: a group's outputs
        std = math.sqrt(2 / (group_width or out_channels)) / math.sqrt(rows * columns)
        nn.init.normal_(self.weight, std=std)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.transforms = KernelTransform(kernels, learned=learned, along=along)
        self.strides, self.group_width, self.largest = sides(stride, along), group_width, largest
        self.same, self.valid, self.dilation, self.along = same, valid, dilation, along
        self.activate(in_channels, out_channels, largest)

    def activate(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        reads: Spans = None,
        writes: Spans = None,
    ) -> None:
        """Use the first `in_channels` and `out_channels`, with a kernel of this size.

        Or those of `reads` and `writes`, as many.
        """
        width, smaller = self.group_width, kernel < self.largest
        groups = in_channels // width if width else 1
        padding = 0 if self.valid else self.dilation * (kernel // 2)
        pads = sides(padding, self.along, 0)
        sizes = [width or in_channels, out_channels, groups, pads, smaller]
        self.form[:] = [*sizes, None if width else reads, writes]
        if smaller:
            self.transforms.activate(kernel)

    def active_weight(self) -> Tensor:
        """The active weights, shape ``(out, in / groups, K, K')``."""
        inputs, outputs, _, _, smaller, reads, writes = self.form
        if reads is writes is None:
            weight = self.weight[:outputs, :inputs]
        else:
            weight = picked(picked(self.weight, outputs, writes), inputs, reads, 1)
        return self.transforms(weight) if smaller else weight

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        _, _, groups, padding, *_ = self.form
        weight = self.active_weight()
        if self.rounds:
            x, weight = rounded_input(x), rounded_weight(weight)
        if self.same:
            reaches = [self.dilation * (size - 1) + 1 for size in weight.shape[2:]]
            x = padded(x, reaches, self.strides)
            padding = (*map(least_pad, reaches, self.strides),)
        bias = None if self.bias is None else self.bias[: len(weight)]
        return convolve(
            x,
            weight,
            bias,
            self.strides,
            padding,
            self.dilation,
            groups,
            training=self.training,
        )

    def active_state(self) -> dict[str, Tensor]:
        """Weights of the active form, named as in `torch.nn.Conv2d`."""
        state = {"weight": self.active_weight()}
        if self.bias is not None:
            state["bias"] = self.bias[: self.form[1]]
        return state

    def reads(self, power: int = 1) -> Tensor:
        """Sum of the sizes, to a power, of the weights that read each input, ``(in,)``."""
        return self.weight.abs().pow(power).sum((0, 2, 3))

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.weight.copy_(self.weight[:, order])

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.weight.copy_(self.weight[order])
        if self.bias is not None:
            self.bias.copy_(self.bias[order])
