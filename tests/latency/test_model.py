"""Models of operators: what is refused, and what older files become."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import LatencyTable, ModelError, OperatorModel, load_target
from supernet.latency.choices import choice_terms
from supernet.latency.work import work_terms
from supernet.space import load_space, operators_of


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"coefficients": {"taps": -0.1}}, "coefficients.taps: must not be below 0, found -0.1"),
        ({"coefficients": {"taps": float("nan")}}, "coefficients.taps: must be finite"),
        ({"coefficients": {"matmull": 1.0}}, "unknown term; did you mean 'matmul'?"),
        ({"coefficients": {"a": float("inf")}, "terms": "choices"}, "coefficients.a: must be fin"),
    ],
)
def test_coefficients_that_are_none_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OperatorModel(**values)
    assert any(text in problem for problem in caught.value.problems)


def test_an_error_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="every figure must be finite and from 0"):
        ModelError(rows_mape=-1.0)


def test_a_model_of_choices_may_go_below_zero_and_knows_other_sizes() -> None:
    operator = next(o for o in operators_of(load_space("demo")) if o.op == "conv")
    terms = list(choice_terms(operator))
    names = [term.name for term in terms]
    sized = [term.name for term in terms if term.optional and term.order > 0]
    assert len(sized) == 3  # its input size; its kernel with its channels, twice
    model = OperatorModel(
        terms="choices", coefficients=dict.fromkeys(set(names) - set(sized), -0.1)
    )
    assert model.knows(operator)
    assert model.ms(operator) < 0
    assert not OperatorModel(terms="choices", coefficients={sized[0]: 1.0}).knows(operator)


def test_without_coefficients_nothing_is_known() -> None:
    assert not any(map(OperatorModel().knows, operators_of(load_space("demo"))))


def test_terms_are_ordered_by_how_special_they_are() -> None:
    operator = next(o for o in operators_of(load_space("demo")) if o.op == "mbconv")
    orders = {term.name: term.order for term in choice_terms(operator)}
    own = [name for name, order in orders.items() if order > 0]
    assert {name for name in orders if name not in own} == {
        f"+ {n}" for n in dict(work_terms(operator))
    }
    family = min(own, key=len)
    kernel, middle = f"{family} k{operator.kernel}", f"{family} m{operator.mid_channels}"
    both = f"+ {kernel} m{operator.mid_channels}"
    expected = {both: 2, f"{both} *p": 3}
    for name in (family, kernel, middle):
        expected |= {name: 1, f"{name} *p": 2, f"{name} *p^2": 3}
    assert {name: orders[name] for name in own} == expected


# ------------------------------------------------------------------ files


@pytest.fixture
def shipped(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """A copy of a shipped table, edited."""

    def edit(change: Callable[[dict[str, Any]], object]) -> Path:
        path = tmp_path / "edited.json"
        load_target("mobile_cpu").save(path)
        body = json.loads(path.read_text())
        change(body)
        path.write_text(json.dumps(body))
        return path

    return edit


Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


def test_a_table_without_a_model_is_of_version_1(shipped: Edit) -> None:
    def older(body: dict[str, Any]) -> None:
        del body["model"]
        body["version"] = 1

    assert not LatencyTable.load(shipped(older)).model.coefficients


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: b["model"]["coefficients"].update(taps=-1), "model.coefficients.taps: must not"),
        (lambda b: b["model"].update(terms="magic"), "model.terms"),
        (lambda b: b["model"].update(tems="work"), "did you mean 'terms'?"),
        (lambda b: b["model"]["coefficients"].update(taps="1"), "model.coefficients"),
        (lambda b: b["model"]["error"].update(rows_mape=-1), "error: every figure must be"),
        (lambda b: b["model"]["kinds"].update({"conv k3": [1]}), "model.kinds"),
    ],
)
def test_an_edited_table_names_its_file_and_key(shipped: Edit, change: Any, text: str) -> None:
    path = shipped(change)
    with pytest.raises(ConfigError) as caught:
        LatencyTable.load(path)
    assert all(str(path) in problem for problem in caught.value.problems)
    assert any(text in problem for problem in caught.value.problems)


def test_a_newer_version_is_refused(shipped: Edit) -> None:
    with pytest.raises(FileFormatError, match="version 3 is newer than 2"):
        LatencyTable.load(shipped(lambda body: body.update(version=3)))
