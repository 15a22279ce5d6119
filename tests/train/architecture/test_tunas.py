"""TuNAS's warm-up: weights learn as a whole."""

import numpy as np

from supernet.space import Domain, Space, with_effect
from supernet.space.layout import layout_of
from supernet.train.architecture import METHODS, ExpectedLatency, Policy
from tests.train.toy_latency import settings, table_of

ALWAYS_DRAWN = {"resolution", "block", "shortcut"}  # what shares no weights, and the input size


def test_at_the_beginning_all_widths_and_operators_are_the_largest(any_space: Space) -> None:
    """Of whatever kind of block: also heads and key sizes of attention."""
    asked = settings("tunas", warmup=0.5)
    policy = Policy(Domain.of(any_space))
    latency = ExpectedLatency(table_of(any_space).predictor(any_space), policy.counts)
    method = METHODS["tunas"].factory(policy, latency, asked)
    paths = method.paths(64, 0.0, np.random.default_rng(0))
    seen: dict[str, set[bool]] = {}
    layout, effects = layout_of(any_space), with_effect(any_space, paths)
    for gene, count, values, effect in zip(layout.genes, layout.num_choices, paths.T, effects.T):
        if count > 1:
            seen.setdefault(gene.kind, set()).update((values[effect] == count - 1).tolist())
    drawn = {kind for kind, largest in seen.items() if False in largest}
    assert drawn <= ALWAYS_DRAWN
    assert seen.keys() - ALWAYS_DRAWN
