"""Every value that a study may propose, held against the rules before the first trial."""

from collections.abc import Iterator

import numpy as np

from supernet.errors import ConfigError
from supernet.space import largest_subnet, operators
from supernet.train.batches import steps_per_epoch
from supernet.tune.plan import Plan, Proposal, Values
from supernet.tune.spec import Parameter, Value

__all__ = ["check_plan", "proposals_at_ends", "random_values"]

_DRAWS = 100


def check_plan(plan: Plan, images: int) -> list[str]:
    """Refuse a study with values that no training takes; remarks about combinations.

    Both ends of every range and every choice are tried, each beside the recipe and the space
    as they are; then random combinations.

    Args:
        plan: the study.
        images: to train on.

    Raises:
        ConfigError: one line for each value that breaks a rule; or no combination is whole.
    """
    searching = ", ".join(phase.name for phase in plan.recipe.searching)
    if searching:
        raise ConfigError(
            f"recipe {plan.recipe.name!r}: {searching} searches for an architecture, which trials "
            "do not",
            hint="take a recipe without such a phase; the architecture may vary in the study",
        )
    problems = []
    for name, value, values in _ends(plan):
        wrong = _wrong(plan, values, images)
        problems += [f"parameters.{name}: {value!r} breaks a rule: {line}" for line in wrong]
    if problems:
        raise ConfigError(problems)
    rng = np.random.default_rng(0)
    failed = [
        w for w in (_wrong(plan, random_values(plan, rng), images) for _ in range(_DRAWS)) if w
    ]
    if len(failed) == _DRAWS:
        raise ConfigError(f"no combination of values is whole, such as: {failed[0][0]}")
    if failed:
        return [
            f"{len(failed)} of {_DRAWS} random proposals break a rule and would be failed trials, "
            f"such as: {failed[0][0]}"
        ]
    return []


def proposals_at_ends(plan: Plan) -> Iterator[Proposal]:
    """The recipe and space as they are, each end of every parameter, and all highest at once."""
    for values in ({}, *(values for *_, values in _ends(plan)), plan.draw(_highest)):
        try:
            yield plan.made(values)
        except ConfigError:
            continue


def random_values(plan: Plan, rng: np.random.Generator) -> Values:
    """A proposal without a preference."""

    def pick(name: str, parameter: Parameter) -> Value:
        del name
        if parameter.choices:
            return parameter.labels[int(rng.integers(len(parameter.choices)))]
        assert parameter.low is not None
        assert parameter.high is not None
        low, high = parameter.low, parameter.high
        value = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if parameter.log else None
        value = rng.uniform(low, high) if value is None else value
        step = parameter.step or (1.0 if parameter.type == "int" else None)
        if step is not None and not parameter.log:
            value = low + step * round((value - low) / step)
        value = float(min(max(value, low), high))
        return round(value) if parameter.type == "int" else value

    return plan.draw(pick)


def _wrong(plan: Plan, values: Values, images: int) -> list[str]:
    try:
        proposal = plan.made(values)
        operators(proposal.space, largest_subnet(proposal.space))
        steps_per_epoch(images, proposal.recipe.batch_size)
    except ConfigError as error:
        return error.problems
    return []


def _ends(plan: Plan) -> Iterator[tuple[str, Value, Values]]:
    """Each end with the values of the parameters that it depends on, and nothing else."""
    for name in plan.order:
        for value in _extremes(plan.parameters[name]):
            yield name, value, {**_parents(plan, name), name: value}


def _parents(plan: Plan, name: str) -> Values:
    """Values under which a parameter is there."""
    found: Values = {}
    for other in plan.parameters[name].when:
        found |= _parents(plan, other)
        found[other] = plan.parameters[name].needed(other)[0]
    return found


def _extremes(parameter: Parameter) -> tuple[Value, ...]:
    if parameter.choices:
        return parameter.labels
    assert parameter.low is not None
    assert parameter.high is not None
    ends = (parameter.low, parameter.high)
    return tuple(map(round, ends)) if parameter.type == "int" else ends


def _highest(name: str, parameter: Parameter) -> Value:
    del name
    return _extremes(parameter)[-1]
