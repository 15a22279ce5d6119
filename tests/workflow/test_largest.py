"""The largest network that is fast enough, and what is trained where a space is one network."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from supernet.errors import ConfigError, InfeasibleError
from supernet.latency import load_target
from supernet.space import Domain, Space, count_subnets, encode, largest, load_space, macs_of
from supernet.train import load_recipe
from supernet.workflow.largest import largest_within
from supernet.workflow.planning.choice import suited

FIX = {"resolution": (24,), "stem.width": (16,), "stage2.kernel": (3, 5), "stage3.expand": (4.0,)}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_no_other_subnet_that_is_fast_enough_is_larger(tiny_space: Space, share: float) -> None:
    domain = Domain.of(tiny_space, FIX)
    every = np.array([*itertools.product(*map(list, domain.allowed))], dtype=np.int8)
    every = domain.canonical(every)
    ms = load_target("mobile_cpu").predict_ms(tiny_space, every).ms
    limit = float(ms.min() + share * (ms.max() - ms.min()))
    best = macs_of(tiny_space, every)[ms <= limit].max()
    found = largest_within(tiny_space, ["mobile_cpu"], {"latency": limit}, fix=FIX)
    genes = encode(tiny_space, [found.subnet])
    assert found.macs == best == macs_of(tiny_space, genes)[0]
    assert found.latencies["mobile_cpu"]["latency_ms"] <= limit


@pytest.mark.parametrize("name", ["demo", "efficientnet_lite0", "demo_cells"])
def test_it_is_a_space_of_its_own_with_what_the_space_says(name: str) -> None:
    space = load_space(name)
    found = largest_within(space, ["x86_server_cpu"], {"latency": 1e6})
    assert count_subnets(found.space) == 1
    assert found.space.bn_eps == space.bn_eps
    assert found.space.head.dropout == space.head.dropout
    assert found.macs == macs_of(found.space, largest(found.space))[0]


def test_limits_that_nothing_meets_or_that_are_missing_are_refused(tiny_space: Space) -> None:
    with pytest.raises(InfeasibleError, match="no subnet of space 'tiny' has latency@mobile_cpu"):
        largest_within(tiny_space, ["mobile_cpu"], {"latency": 1e-6})
    with pytest.raises(ConfigError, match="without one, the largest subnet is the space's own"):
        largest_within(tiny_space, ["mobile_cpu"], {})
    with pytest.raises(ConfigError, match="unknown target 'phone'"):
        largest_within(tiny_space, ["phone"], {"latency": 1.0})


def test_one_network_is_trained_once_a_step_and_without_a_teacher(tiny_space: Space) -> None:
    recipe = replace(load_recipe("demo"), init="some.safetensors")
    assert suited(recipe, tiny_space) is recipe
    only = largest_within(tiny_space, ["mobile_cpu"], {"latency": 1e6}, fix=FIX).space
    alone = suited(recipe, only)
    (phase,) = alone.phases
    assert phase.subnets == ("largest",)
    assert phase.distill == 0
    assert (alone.epochs, alone.init) == (recipe.epochs, recipe.init)
