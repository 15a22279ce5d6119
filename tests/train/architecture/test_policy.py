import numpy as np
import pytest
import torch

from supernet.space import Domain, Space, canonical, with_effect
from supernet.train.architecture import Policy, probability_loss


def test_subnets_are_drawn_as_often_as_their_probability_says(
    space: Space, rng: np.random.Generator
):
    policy = Policy(Domain.of(space))
    with torch.no_grad():
        policy.logits += torch.linspace(-1, 1, len(policy.logits), dtype=torch.float64)
    drawn = policy.sample(20_000, rng)
    everything = policy.domain.everything()
    shares = policy.log_prob(everything).exp().detach().numpy()
    assert shares.sum() == pytest.approx(1)
    keys = {row.tobytes(): i for i, row in enumerate(everything)}
    counts = np.bincount([keys[row.tobytes()] for row in drawn], minlength=len(everything))
    assert np.abs(counts / len(drawn) - shares).max() < 0.01


def test_what_a_phase_may_not_train_is_never_drawn(space: Space, rng: np.random.Generator):
    domain = Domain.of(space, {"kernel": (5,), "resolution": (24,)})
    policy = Policy(domain)
    assert domain.contains(policy.sample(500, rng)).all()
    assert policy.entropy == pytest.approx(sum(np.log(len(choices)) for choices in domain.allowed))


def test_genes_without_effect_count_nothing(any_space: Space, rng: np.random.Generator):
    policy = Policy(Domain.of(any_space))
    raw = policy.draw(200, rng)
    effect = with_effect(any_space, raw)
    changed = np.where(effect, raw, 0).astype(np.int8)
    assert (canonical(any_space, raw) == canonical(any_space, changed)).all()
    whole = canonical(any_space, raw)
    count = with_effect(any_space, whole).sum(1)
    assert not effect.all()
    uniform = [np.full(n, 1 / n) for n in policy.counts]
    by_hand = [
        sum(np.log(own[g]) for own, g, e in zip(uniform, row, es) if e)
        for row, es in zip(whole, with_effect(any_space, whole))
    ]
    assert policy.log_prob(whole).detach().numpy() == pytest.approx(by_hand)
    assert count.min() < count.max()


def test_the_most_probable_choices_lose_nothing_however_deep(
    any_space: Space, rng: np.random.Generator
):
    policy = Policy(Domain.of(any_space))
    with torch.no_grad():
        policy.logits += torch.from_numpy(rng.normal(size=len(policy.logits)))
    own = policy.by_gene()
    best = policy.domain.canonical(np.array([[p.argmax() for p in own]], dtype=np.int8))
    others = policy.sample(500, rng)
    assert probability_loss(policy.domain, own, best) == pytest.approx(0)
    others = others[(others != best).any(1)]
    assert (probability_loss(policy.domain, own, others) < 0).all()


def test_a_space_of_one_subnet_has_a_policy_too(space: Space, rng: np.random.Generator):
    everything = {gene.name: gene.choices[-1:] for gene in Policy(Domain.of(space)).genes}
    policy = Policy(Domain.of(space, everything))
    assert policy.entropy == 0
    assert len(np.unique(policy.sample(5, rng), axis=0)) == 1
