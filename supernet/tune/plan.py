"""A study bound to the recipe and the space that it varies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from supernet.errors import ConfigError
from supernet.files import fill
from supernet.space import Space
from supernet.train import Recipe, scaled, standalone_recipe
from supernet.tune.genes import Genes, gene_parameters
from supernet.tune.keys import Place, find, plain, read, written
from supernet.tune.order import in_order, is_active
from supernet.tune.spec import Parameter, Study, Value, label_of

__all__ = ["Plan", "Proposal", "Values"]

Values: TypeAlias = dict[str, Value]
"""What a trial proposes, by the names of the parameters that are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a trial trains."""

    recipe: Recipe
    space: Space


class Plan:
    """Turns values of parameters into a recipe and a space.

    All proposals train for the same number of epochs: where epochs of phases vary, they are
    shares of it.

    Args:
        study: what varies.
        recipe: the keys that do not vary.
        space: as `recipe`; with ``genes`` the space that single networks are chosen from, each
            trained in one phase (`supernet.train.standalone_recipe`).

    Raises:
        ConfigError: parameters without a key, or with one that neither has; all at once.
    """

    def __init__(self, study: Study, recipe: Recipe, space: Space) -> None:
        self.study = study
        self.recipe = standalone_recipe(recipe, largest=False) if study.genes else recipe
        self.space = space
        self.epochs = recipe.epochs
        self._genes = Genes(space) if study.genes else None
        chosen = gene_parameters(space) if study.genes else {}
        self._base = plain(self.recipe, space)
        self.places, problems = self._found(study)
        self.parameters: dict[str, Parameter] = {
            **{name: self._typed(name, one, problems) for name, one in study.parameters.items()},
            **chosen,
        }
        problems += self._range_conditions()
        if problems:
            raise ConfigError(problems)
        self.order = in_order(self.parameters)

    def _found(self, study: Study) -> tuple[dict[str, tuple[Place, ...]], list[str]]:
        """The places of each parameter, and the keys that are not there."""
        places, problems = {}, []
        needed = {other for parameter in study.parameters.values() for other in parameter.when}
        for name, parameter in study.parameters.items():
            keys = parameter.key or ((name,) if "." in name else ())
            if not keys and name not in needed:
                problems.append(
                    f"parameters.{name}: sets nothing: give its key, such as recipe.{name}"
                )
            found: list[Place] = []
            for key in keys:
                own, wrong = find(key, self._base)
                found += own
                problems += [f"parameters.{name}: {line}" for line in wrong]
                if study.genes and key.startswith("space"):
                    problems.append(
                        f"parameters.{name}: {key}: with genes: true the space is what networks "
                        "are chosen from"
                    )
            places[name] = tuple(dict.fromkeys(found))
        return places, problems

    def _typed(self, name: str, parameter: Parameter, problems: list[str]) -> Parameter:
        """The parameter with the type of its range decided."""
        if parameter.choices:
            return parameter
        kinds = {place.kind for place in self.places[name]}
        if parameter.scale and kinds - {"float"}:
            problems.append(f"parameters.{name}: scale: its keys must hold floats")
        if not self.places[name]:
            return parameter if parameter.type != "auto" else replace(parameter, type="float")
        if parameter.type == "float" and "int" in kinds:
            problems.append(f"parameters.{name}: type: its key holds whole numbers")
        if parameter.type != "auto":
            return parameter
        if kinds not in ({"float"}, {"int"}):
            problems.append(
                f"parameters.{name}: its keys hold no numbers of one type; give choices"
            )
            return parameter
        try:
            return replace(parameter, type="int" if kinds == {"int"} else "float")
        except ConfigError as error:
            problems += [f"parameters.{name}.{line}" for line in error.problems]
            return parameter

    def _range_conditions(self) -> list[str]:
        problems = []
        for name, parameter in self.parameters.items():
            for other in parameter.when:
                one = self.parameters[other]
                if not one.choices and one.type == "float" and one.step is None:
                    problems.append(
                        f"parameters.{name}.when.{other}: a condition names values, and that is a "
                        "range of floats"
                    )
        return problems

    def draw(self, pick: Callable[[str, Parameter], Value]) -> Values:
        """A value for every parameter that is there, each after those that it depends on.

        Args:
            pick: called with a parameter's name and itself.
        """
        values: Values = {}
        for name in self.order:
            if is_active(self.parameters[name], values):
                values[name] = pick(name, self.parameters[name])
        return values

    def made(self, values: Mapping[str, Value]) -> Proposal:
        """The recipe and the space of some values.

        Raises:
            ConfigError: together they break rules of either.
        """
        document: Any = self._base
        for name, parameter in self.study.parameters.items():
            for place in self.places[name] if name in values else ():
                value = self._value(parameter, place, values[name])
                document = _written(name, document, place, value)
        recipe, problems = self.recipe, list[str]()
        space = self.space
        try:
            recipe = fill(Recipe, document["recipe"], "recipe")
        except ConfigError as error:
            problems += error.problems
        try:
            space = fill(Space, document["space"], "space")
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)
        if self._genes is not None:
            space = self._genes.network(values)
        return Proposal(recipe=scaled(recipe, self.epochs), space=space)

    def as_it_is(self) -> Proposal:
        """The recipe and the space without any change; with genes the largest network."""
        return self.made({})

    def _value(self, parameter: Parameter, place: Place, value: Value) -> Any:
        if parameter.choices:
            return parameter.choices[_position(parameter, value)]
        if not parameter.scale:
            return value
        assert isinstance(value, int | float)
        return _times(read(self._base, place.path), value)

    def baseline(self) -> tuple[Values | None, list[str]]:
        """The values that leave recipe and space as they are; None and why where none do."""
        reasons: list[str] = []

        def usual(name: str, parameter: Parameter) -> Value:
            if self._genes is not None and name in self._genes.columns:
                return parameter.labels[-1]
            value, wrong = self._usual(name, parameter)
            reasons.extend(wrong)
            return value

        values = self.draw(usual)
        if not reasons and self.made(values) != self.made(
            {n: values[n] for n in values if n in self._gene_names}
        ):
            reasons.append("together the parameters always change something")
        return (None, reasons) if reasons else (values, [])

    @property
    def _gene_names(self) -> tuple[str, ...]:
        return tuple(self._genes.columns) if self._genes is not None else ()

    def _usual(self, name: str, parameter: Parameter) -> tuple[Value, list[str]]:
        places = self.places[name]
        if not places:  # a switch: whatever comes first
            return (parameter.labels[0] if parameter.choices else parameter.low), []
        if parameter.scale:
            value: Any = 1.0
        else:
            found = [_single(read(self._base, place.path)) for place in places]
            value = found[0]
            if any(one != value for one in found):
                return None, [f"{name}: its keys have different values"]
        found_value, wrong = _as_it_is(name, parameter, value)
        if wrong and parameter.choices:  # what a file leaves out may be the same
            usual = self.as_it_is()
            alike = (label for label in parameter.labels if self._makes(name, label, usual))
            return next(((label, list[str]()) for label in alike), (found_value, wrong))
        return found_value, wrong

    def _makes(self, name: str, label: Value, proposal: Proposal) -> bool:
        """Whether one choice alone makes this recipe and space."""
        try:
            return self.made({name: label}) == proposal
        except ConfigError:
            return False


def _written(name: str, document: Any, place: Place, value: Any) -> Any:
    """The document with the value of a parameter.

    Raises:
        ConfigError: other values leave no such item.
    """
    try:
        return written(document, place.path, value)
    except LookupError:
        key = ".".join(map(str, place.path))
        raise ConfigError(
            f"parameters.{name}: {key} is not there beside the other values",
            hint="name the values that it belongs to under `when`",
        ) from None


def _as_it_is(name: str, parameter: Parameter, value: Any) -> tuple[Value, list[str]]:
    """The value of a parameter that stands for this value of its keys, or why there is none."""
    if parameter.choices:
        position = next((i for i, c in enumerate(parameter.choices) if _single(c) == value), -1)
        wrong = [f"{name}: {value!r} is not among its choices"] * (position < 0)
        return parameter.labels[position], wrong
    assert parameter.low is not None
    assert parameter.high is not None
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not parameter.low <= value <= parameter.high:
        return None, [f"{name}: {value!r} is not from {parameter.low:g} to {parameter.high:g}"]
    steps = (value - parameter.low) / parameter.step if parameter.step is not None else 0
    wrong = [f"{name}: {value!r} is none of its steps"] * (abs(steps - round(steps)) > 1e-9)
    return value, wrong


def _position(parameter: Parameter, value: Value) -> int:
    for position, label in enumerate(parameter.labels):
        if label == value and isinstance(label, bool) == isinstance(value, bool):
            return position
    raise ConfigError(f"{value!r} is not among the choices {list(parameter.labels)}")


def _single(value: Any) -> Any:
    """A list of one as its value: in files one stands for the other."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return value[0]
    return label_of(value) if isinstance(value, list | dict) else value


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, list):
        return [_times(item, factor) for item in value]
    return None if value is None else value * factor
