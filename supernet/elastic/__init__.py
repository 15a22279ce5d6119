"""Sliced operators: one set of weights, any active width and kernel.

`activate` fixes plain integers; `forward` only slices by them.
"""

from supernet.elastic.activation import make_activation
from supernet.elastic.blocks import (
    ElasticConvNorm,
    ElasticLinear,
    ElasticMBConv,
    ElasticSqueezeExcite,
)
from supernet.elastic.conv import ElasticConv, ElasticDepthwise
from supernet.elastic.norm import ElasticBatchNorm

__all__ = [
    "ElasticBatchNorm",
    "ElasticConv",
    "ElasticConvNorm",
    "ElasticDepthwise",
    "ElasticLinear",
    "ElasticMBConv",
    "ElasticSqueezeExcite",
    "make_activation",
]
