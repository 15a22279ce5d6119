"""Kits and tables of networks that are graphs."""

import json

import numpy as np
import pytest

from supernet.blocks import Wired
from supernet.errors import FileFormatError
from supernet.latency.kit.plan import Plan
from supernet.latency.kit.spec import Spec
from supernet.latency.kits import make_plan
from supernet.predict._features import describe
from supernet.space import Operator, decode, operators, sample, slot_operators
from supernet.space.features import places_of
from tests.cells import SMALL


def test_a_plan_carries_what_operators_read() -> None:
    space = SMALL["demo_cells"]
    plan = make_plan(space, fit=4, hold_out=2)
    again = Plan.of_document(json.loads(json.dumps(plan.document())))
    assert again == plan
    for network in plan.networks:
        specs = plan.specs(network)
        assert isinstance(specs, Wired)
        assert len(specs.reads) == len(specs)


def test_every_other_network_of_a_correction_is_random() -> None:
    """Cells of few and of much work differ from others in more than their work."""
    space = SMALL["demo_cells"]
    plan = make_plan(space, fit=40, hold_out=0)
    macs = [sum(spec.macs for spec in map(_operator, plan.specs(n))) for n in plan.networks]
    spread, random = np.array(macs[1::2]), np.array(macs[::2])
    assert np.ptp(spread) > 1.5 * np.ptp(random)


def _operator(spec: Spec) -> Operator:
    return Operator(**spec._asdict())


def test_a_plan_that_reads_ahead_is_refused() -> None:
    document = make_plan(SMALL["demo_cells"], fit=4, hold_out=0).document()
    document["networks"][1]["reads"][3] = [9]
    with pytest.raises(FileFormatError, match=r"networks\[1\]\.reads\[3\]: .* 0 to 3, found \[9\]"):
        Plan.of_document(document)


@pytest.mark.parametrize("name", SMALL)
def test_places_are_those_of_the_slots(name: str) -> None:
    space = SMALL[name]
    for subnet in decode(space, sample(space, 5, np.random.default_rng(0))):
        found = operators(space, subnet)
        expected = [slot.place.group for slot, _ in slot_operators(space, subnet)]
        assert [place.group for place in places_of(subnet, found)] == expected


@pytest.mark.parametrize("name", SMALL)
def test_predictors_are_told_every_choice(name: str) -> None:
    space = SMALL[name]
    genes = sample(space, 50, np.random.default_rng(0))
    features = describe(space, genes)
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == len(np.unique(genes, axis=0))
