"""Over all methods: what each of them has to do, without a network."""

import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from supernet.errors import ConfigError
from supernet.space import Domain, Genes, Space
from supernet.train import SearchPhase
from supernet.train.architecture import (
    METHODS,
    ExpectedLatency,
    Method,
    Policy,
    Scores,
    Values,
    probability_loss,
)
from supernet.train.search_phase import MethodName
from tests.train.toy_latency import settings, table_of

Generators = Callable[[int], np.random.Generator]

pytestmark = pytest.mark.parametrize("name", METHODS)
STEPS = 300


def made(space: Space, name: str, **changes: object) -> tuple[Method, SearchPhase]:
    asked = settings(name, **changes)
    policy = Policy(Domain.of(space))
    latency = ExpectedLatency(table_of(space).predictor(space), policy.counts)
    return METHODS[asked.method].factory(policy, latency, asked), asked


def gains(space: Space) -> Values:
    """What a choice takes off the loss: more of a gene the later its column."""
    weights = np.random.default_rng(5).permutation(len(Policy(Domain.of(space)).genes)) + 1.0
    found: Values = 0.5 * weights / weights.sum()
    return found


def true_loss(space: Space, genes: Genes) -> Values:
    """0.2 to 0.7: every larger choice is better, some much more than others."""
    counts = np.array(Policy(Domain.of(space)).counts)
    found: Values = 0.7 - (genes / (counts - 1)) @ gains(space)
    return found


def scorer(space: Space, noise: float, rng: np.random.Generator):
    def score(genes: Genes) -> Scores:
        found = true_loss(space, genes)
        found = found + noise * rng.normal() + 0.3 * noise * rng.normal(size=len(found))
        return Scores(losses=found, top1=1 - found)

    return score


def learn(method: Method, space: Space, generator: Generators, steps: range) -> None:
    for step in steps:
        rng = generator(step)
        method.paths(2, step / STEPS, rng)
        if step / STEPS >= 0.25:
            method.learn(scorer(space, 0.02, rng), step / STEPS, rng)


def test_finds_nearly_the_best_subnet_within_the_limit(
    name: str, space: Space, generator: Generators
):
    predictor = table_of(space).predictor(space)
    everything = Domain.of(space).everything()
    ms, losses = predictor.ms(everything), true_loss(space, everything)
    limit = float(np.quantile(ms, 0.4))
    weight = {"proxyless": 1.0, "proxyless_reinforce": 0.3, "tunas": 0.5}[name]
    method, _ = made(space, name, limit_ms=limit, weight=weight, lr=0.1, samples=8)
    learn(method, space, generator, range(STEPS))
    likely = probability_loss(method.policy.domain, method.policy.by_gene(), everything)
    likely[(ms > limit) | (ms < 0.9 * limit)] = -np.inf
    found = losses[likely.argmax()]
    within = np.sort(losses[(ms <= limit) & (ms >= 0.9 * limit)])
    share = (within < found).mean()
    assert share < 0.1, f"{100 * share:.0f} % of the subnets within the limit are better"
    drawn = method.policy.sample(200, generator(0))
    assert true_loss(space, drawn).mean() < within.mean()


def test_a_seed_gives_the_same_again(name: str, space: Space, generator: Generators):
    found = []
    for _ in range(2):
        method, _ = made(space, name)
        learn(method, space, generator, range(90, 120))
        found.append(method.policy.logits.detach().clone())
    assert torch.equal(*found)
    assert found[0].abs().max() > 0


def test_goes_on_from_its_state_as_if_never_stopped(
    name: str, space: Space, generator: Generators, tmp_path
):
    whole, _ = made(space, name)
    learn(whole, space, generator, range(90, 130))
    stopped, _ = made(space, name)
    learn(stopped, space, generator, range(90, 110))
    torch.save(stopped.state(), tmp_path / "state.pt")
    resumed, _ = made(space, name)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    learn(resumed, space, generator, range(110, 130))
    assert torch.equal(whole.policy.logits, resumed.policy.logits)


def test_a_state_is_not_changed_by_what_is_learned_after(
    name: str, space: Space, generator: Generators
):
    method, _ = made(space, name)
    learn(method, space, generator, range(90, 95))
    state = method.state()
    before = state["logits"].clone()
    learn(method, space, generator, range(95, 110))
    assert torch.equal(state["logits"], before)


def test_paths_and_what_is_scored_are_canonical_subnets_of_the_domain(
    name: str, any_space: Space, generator: Generators
):
    method, _ = made(any_space, name)
    domain, seen = method.policy.domain, []

    def score(genes: Genes) -> Scores:
        seen.append(genes)
        return Scores(losses=np.ones(len(genes)), top1=np.ones(len(genes)))

    for share in (0.0, 0.1, 0.5):
        seen.append(method.paths(3, share, generator(1)))
        assert seen[-1].shape == (3, len(domain.allowed))
    method.learn(score, 0.5, generator(2))
    assert domain.contains(np.concatenate(seen)).all()


def test_every_name_of_a_recipe_has_a_method(name: str):
    assert name in typing.get_args(MethodName)
    assert set(METHODS) == set(typing.get_args(MethodName))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lr": 0}, "lr: must be above 0"),
        ({"weight": -1}, "weight: must be above 0"),
        ({"limit_ms": -1}, "limit_ms: must be from 0"),
        ({"samples": 0}, "samples: must be from 1"),
        ({"every": 0}, "every: must be from 1"),
        ({"warmup": 1}, "warmup: must be from 0 to below 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(name: str, changes: dict[str, Any], problem: str):
    with pytest.raises(ConfigError, match=problem):
        settings(name, **changes)
