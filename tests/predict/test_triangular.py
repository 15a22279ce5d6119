"""Inverses of triangular matrices, and a Gaussian process that uses them."""

import numpy as np
import pytest

from supernet.predict._features import Standardised
from supernet.predict._likelihood import Kernel
from supernet.predict._terms import design, single_terms
from supernet.predict._triangular import inverse_of_lower, norms
from supernet.predict.contract import AccuracyPairs
from supernet.predict.gp import GaussianProcess
from supernet.space import load_space, sample


@pytest.mark.parametrize("count", [1, 2, 64, 65, 300])
def test_inverses_and_norms_are_those_of_full_matrices(count: int) -> None:
    rng = np.random.default_rng(count)
    lower = np.tril(rng.normal(size=(count, count)), -1) / count + np.diag(1 + rng.random(count))
    inverse = inverse_of_lower(lower)
    np.testing.assert_allclose(inverse, np.linalg.inv(lower), atol=1e-12)
    assert (np.triu(inverse, 1) == 0).all()
    columns = rng.normal(size=(count, 7))
    np.testing.assert_allclose(norms(inverse, columns), ((inverse @ columns) ** 2).sum(0))


def test_a_process_says_the_textbook_mean_and_deviation() -> None:
    space, rng = load_space("demo"), np.random.default_rng(0)
    genes = sample(space, 150, rng)
    top1 = 70 + genes[:, :5].sum(1) + rng.normal(0, 0.3, len(genes))
    process = GaussianProcess(AccuracyPairs(space=space, genes=genes, top1=top1))
    some = sample(space, 40, rng)
    mean, std = process.moments(some)
    np.testing.assert_allclose(mean, process.mean(some), atol=1e-3)  # in single precision
    assert (std == process.std(some)).all()

    terms, everything = single_terms(space), np.concatenate([genes, some])
    linear = design(terms, everything) - design(terms, genes).mean(0)
    groups = np.repeat(np.arange(len(terms)), [term.basis.shape[-1] for term in terms])
    features = Standardised.of(space, genes)(everything)
    kernel = Kernel(features, linear, groups)
    noise = kernel.split(process.parameters).noise
    matrix = kernel.matrix(process.parameters)
    known, cross, own = matrix[:150, :150], matrix[150:, :150], np.diag(matrix)[150:]
    told = np.linalg.solve(known, cross.T)
    expected = top1.mean() + told.T @ (top1 - top1.mean())
    np.testing.assert_allclose(mean, expected)
    variance = own - (cross * told.T).sum(1)
    np.testing.assert_allclose(std, top1.std() * np.sqrt(variance))
    quiet = top1.std() * np.sqrt(variance - noise)
    np.testing.assert_allclose(process.std(some, noise=False), quiet)
