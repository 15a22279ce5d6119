"""Sliced operators: one set of weights, any active width and kernel.

`activate` fixes plain integers; `forward` only slices by them.
"""

from supernet.elastic.activation import gate_activations, make_activation
from supernet.elastic.blocks import ElasticBlock, ElasticConvBlock, ElasticLinear
from supernet.elastic.chain import ElasticChain
from supernet.elastic.conv import ElasticConv
from supernet.elastic.form import Elastic
from supernet.elastic.joining import SCALE, Concat, Shift, attend, shared_part
from supernet.elastic.kernel import KernelTransform
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance, importance, ranked
from supernet.elastic.parts import (
    ElasticAdd,
    ElasticConvNorm,
    ElasticResidual,
    ElasticShortcut,
    ElasticSqueezeExcite,
)

__all__ = [
    "SCALE",
    "Concat",
    "Elastic",
    "ElasticAdd",
    "ElasticBatchNorm",
    "ElasticBlock",
    "ElasticChain",
    "ElasticConv",
    "ElasticConvBlock",
    "ElasticConvNorm",
    "ElasticLinear",
    "ElasticResidual",
    "ElasticShortcut",
    "ElasticSqueezeExcite",
    "Importance",
    "KernelTransform",
    "Shift",
    "attend",
    "gate_activations",
    "importance",
    "make_activation",
    "ranked",
    "shared_part",
]
