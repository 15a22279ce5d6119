"""What may be chosen: spaces, subnets, genes, MACs and parameters. Never torch."""

from supernet.space.additive import (
    OperatorSum,
    macs_of,
    operator_indices,
    operators_of,
    params_of,
)
from supernet.space.extremes import SpaceRanges, extremes, space_ranges
from supernet.space.genes import (
    canonical,
    count_subnets,
    crossover,
    decode,
    encode,
    largest,
    largest_subnet,
    mutate,
    neighbours,
    one_hot,
    sample,
    sample_spread,
    smallest,
    unique,
)
from supernet.space.layout import Genes
from supernet.space.load import at_width, list_spaces, load_space, save_space
from supernet.space.operators import Operator, total_macs, total_params
from supernet.space.spec import Head, Space, Stage, Stem
from supernet.space.subnet import (
    Block,
    StageChoice,
    Subnet,
    SubnetFile,
    check_operators,
    operators,
    stage_operators,
)

__all__ = [
    "Block",
    "Genes",
    "Head",
    "Operator",
    "OperatorSum",
    "Space",
    "SpaceRanges",
    "Stage",
    "StageChoice",
    "Stem",
    "Subnet",
    "SubnetFile",
    "at_width",
    "canonical",
    "check_operators",
    "count_subnets",
    "crossover",
    "decode",
    "encode",
    "extremes",
    "largest",
    "largest_subnet",
    "list_spaces",
    "load_space",
    "macs_of",
    "mutate",
    "neighbours",
    "one_hot",
    "operator_indices",
    "operators",
    "operators_of",
    "params_of",
    "sample",
    "sample_spread",
    "save_space",
    "smallest",
    "space_ranges",
    "stage_operators",
    "total_macs",
    "total_params",
    "unique",
]
