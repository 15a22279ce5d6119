"""Sliced operators: one set of weights, any active width and kernel.

`activate` fixes plain integers; `forward` only slices by them.
"""

from supernet.elastic.activation import gate_activations, make_activation
from supernet.elastic.blocks import (
    ElasticBlock,
    ElasticChain,
    ElasticConvBlock,
    ElasticLinear,
)
from supernet.elastic.conv import ElasticConv
from supernet.elastic.form import Elastic
from supernet.elastic.kernel import KernelTransform
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance, importance, ranked
from supernet.elastic.parts import (
    ElasticAdd,
    ElasticConvNorm,
    ElasticHalves,
    ElasticResidual,
    ElasticShortcut,
    ElasticSqueezeExcite,
    further_on,
)

__all__ = [
    "Elastic",
    "ElasticAdd",
    "ElasticBatchNorm",
    "ElasticBlock",
    "ElasticChain",
    "ElasticConv",
    "ElasticConvBlock",
    "ElasticConvNorm",
    "ElasticHalves",
    "ElasticLinear",
    "ElasticResidual",
    "ElasticShortcut",
    "ElasticSqueezeExcite",
    "Importance",
    "KernelTransform",
    "further_on",
    "gate_activations",
    "importance",
    "make_activation",
    "ranked",
]
