import itertools

import numpy as np
import pytest
import torch

from supernet.space import Domain, Space
from supernet.train.architecture import ExpectedLatency, Policy
from tests.train.toy_latency import table_of


def small(space: Space) -> Domain:
    """What can be enumerated of a space, with depths that skip blocks."""
    fix = {gene.name: gene.choices[:1] for gene in Policy(Domain.of(space)).genes}
    kept = 0
    for gene in Policy(Domain.of(space)).genes:
        if kept < 9 and gene.kind in ("resolution", "width", "depth", "kernel", "expand", "block"):
            fix[gene.name] = gene.choices
            kept += 1
    return Domain.of(space, fix)


def test_the_expected_latency_is_the_mean_over_all_subnets(any_space: Space):
    domain, predictor = small(any_space), table_of(any_space).predictor(any_space)
    policy = Policy(domain)
    latency = ExpectedLatency(predictor, policy.counts)
    with torch.no_grad():
        policy.logits += torch.randn(len(policy.logits), generator=_seeded(), dtype=torch.float64)
    everything = domain.everything()
    shares = policy.log_prob(everything).exp().detach().numpy()
    assert len(everything) == domain.count > 50
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    expected = float(latency(policy.probabilities()).detach())
    assert expected == pytest.approx(shares @ predictor.ms(everything), rel=1e-12)


def test_its_gradient_is_the_difference_of_the_tables(any_space: Space):
    """By a probability: the mean latency of the subnets that take the choice."""
    domain, predictor = small(any_space), table_of(any_space).predictor(any_space)
    policy = Policy(domain)
    latency = ExpectedLatency(predictor, policy.counts)
    probabilities = policy.probabilities().detach().requires_grad_()
    (gradient,) = torch.autograd.grad(latency(probabilities), probabilities)
    raw = np.array([*itertools.product(*domain.allowed)], dtype=np.int8)  # with idle genes
    ms = predictor.ms(domain.canonical(raw))
    for column in domain.free.tolist():
        start = policy.starts[column]
        slope = gradient[start : start + policy.counts[column]].numpy()
        means = [ms[raw[:, column] == i].mean() for i in domain.allowed[column]]
        assert np.diff(slope) == pytest.approx(np.diff(means), abs=1e-12)


def test_its_gradient_by_logits_is_that_of_finite_differences(any_space: Space):
    policy = Policy(Domain.of(any_space))
    latency = ExpectedLatency(table_of(any_space).predictor(any_space), policy.counts)
    logits = torch.randn(len(policy.logits), generator=_seeded(), dtype=torch.float64)

    def expected(values: torch.Tensor) -> torch.Tensor:
        parts = torch.split(values, policy.counts)
        return latency(torch.cat([part.softmax(0) for part in parts]))

    assert torch.autograd.gradcheck(expected, logits.requires_grad_())


def test_of_subnets_it_is_what_the_table_predicts(any_space: Space, rng: np.random.Generator):
    predictor = table_of(any_space).predictor(any_space)
    policy = Policy(Domain.of(any_space))
    latency = ExpectedLatency(predictor, policy.counts)
    genes = policy.sample(20, rng)
    assert latency.of(genes) == pytest.approx(predictor.ms(genes))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)
