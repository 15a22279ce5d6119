"""Global average pooling whose gradient costs nothing."""

from torch import Tensor

__all__ = ["global_mean"]


def global_mean(x: Tensor, *, keep: bool, training: bool) -> Tensor:
    """The mean over rows and columns.

    In training as a sum that is divided afterwards: the gradient of a sum is a view, that of
    a mean a whole tensor, and not in the channels-last layout, so that what comes next
    is slow too (on CPUs up to ten times).

    Args:
        x: shape ``(N, C, H, W)``.
        keep: whether the result is ``(N, C, 1, 1)``, not ``(N, C)``.
        training: whether a gradient will be asked for.
    """
    if not training:
        return x.mean((2, 3), keepdim=keep)
    return x.sum((2, 3), keepdim=keep) / (x.shape[2] * x.shape[3])
