"""Trained weights made ready for images with statistics of their own."""

import torch
from torch import Tensor, nn

from supernet.elastic import ElasticBatchNorm
from supernet.evaluate.evaluator import Evaluator

__all__ = ["adapt_norms"]


@torch.no_grad()
def adapt_norms(evaluator: Evaluator) -> None:
    """Let the largest subnet compute with statistics of these images what it computes with its own.

    Batch norms that were trained on other images normalise by the statistics of those; in a
    supernet every subnet is normalised by its own of these images, in training by those of the
    batch. What differs between the two goes into the norms' weights and biases, and the
    statistics of these images become their own: the largest subnet, recalibrated, is the
    network that was trained.

    Args:
        evaluator: of the supernet, which is changed in place, and of the images. Statistics
            differ between input sizes; those at the middle one are taken.
    """
    supernet = evaluator.supernet
    sizes = supernet.space.resolutions
    supernet.activate(supernet.largest)
    training = supernet.training
    sums: dict[ElasticBatchNorm, list[Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, ElasticBatchNorm)
        found = torch.stack(torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0))
        sums.setdefault(norm, []).append(len(inputs[0]) * found)

    norms = [module for module in supernet.modules() if isinstance(module, ElasticBatchNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    images = 0
    try:
        supernet.eval()
        for views in evaluator.views("calibration", sizes[len(sizes) // 2]):
            supernet(views)
            images += len(views)
    finally:
        for hook in hooks:
            hook.remove()
        supernet.train(training)
    for norm, found in sums.items():
        variance, mean = (torch.stack(found).sum(0) / images).unbind()
        norm.adopt(mean, variance)
