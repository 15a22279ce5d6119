"""What may be chosen: spaces, subnets, genes, MACs and parameters. Never torch."""

from supernet.space.additive import (
    OperatorMax,
    OperatorSum,
    macs_of,
    operator_indices,
    operators_of,
    params_of,
)
from supernet.space.cells import Cell, CellChoice, Cells, Node, NodeChoice
from supernet.space.costs import (
    Precision,
    file_bytes,
    network_peak_bytes,
    peak_bytes,
    weight_bytes,
)
from supernet.space.domain import Domain
from supernet.space.elimination import CostTable, minimum
from supernet.space.features import (
    WHOLE,
    Body,
    FeatureMap,
    body_operators,
    body_slots,
    check_size,
    chosen_maps,
    feature_maps,
    resized,
)
from supernet.space.genes import (
    canonical,
    count_subnets,
    decode,
    encode,
    first_of_equals,
    largest,
    largest_subnet,
    one_hot,
    sample,
    smallest,
    subnet_keys,
    unique,
    with_effect,
)
from supernet.space.layout import Genes
from supernet.space.load import at_width, list_spaces, load_space, save_space
from supernet.space.operator import Operator, total_macs, total_params
from supernet.space.ranges import SpaceRanges, extremes, operator_costs, space_ranges
from supernet.space.spec import Head, Space, Stem
from supernet.space.stage import Stage
from supernet.space.subnet import (
    Block,
    StageChoice,
    Subnet,
    operators,
    slot_operators,
    stage_operators,
)
from supernet.space.subnet_file import SubnetFile, check_operators

__all__ = [
    "WHOLE",
    "Block",
    "Body",
    "Cell",
    "CellChoice",
    "Cells",
    "CostTable",
    "Domain",
    "FeatureMap",
    "Genes",
    "Head",
    "Node",
    "NodeChoice",
    "Operator",
    "OperatorMax",
    "OperatorSum",
    "Precision",
    "Space",
    "SpaceRanges",
    "Stage",
    "StageChoice",
    "Stem",
    "Subnet",
    "SubnetFile",
    "at_width",
    "body_operators",
    "body_slots",
    "canonical",
    "check_operators",
    "check_size",
    "chosen_maps",
    "count_subnets",
    "decode",
    "encode",
    "extremes",
    "feature_maps",
    "file_bytes",
    "first_of_equals",
    "largest",
    "largest_subnet",
    "list_spaces",
    "load_space",
    "macs_of",
    "minimum",
    "network_peak_bytes",
    "one_hot",
    "operator_costs",
    "operator_indices",
    "operators",
    "operators_of",
    "params_of",
    "peak_bytes",
    "resized",
    "sample",
    "save_space",
    "slot_operators",
    "smallest",
    "space_ranges",
    "stage_operators",
    "subnet_keys",
    "total_macs",
    "total_params",
    "unique",
    "weight_bytes",
    "with_effect",
]
