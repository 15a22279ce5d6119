"""Pairs from files: every way to write them, and every way to get them wrong."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.predict import AccuracyPairs, Predicted, fit_predictor, load_predictor
from supernet.predict.files import read_genes, read_pairs, write_predictions
from supernet.space import Space, load_space, macs_of, operators_of, params_of, sample
from supernet.space.additive import OperatorSum
from supernet.space.layout import layout_of
from supernet.space.operator import Operator
from tests.published import PUBLISHED, needs

ACCURACY = PUBLISHED / "accuracy"
needs_files = needs("accuracy")

ACCEL = load_space("mnasnet_accel")
Arrays = dict[str, Any]
Write = Callable[[Arrays], Path]


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "e": rng.choice([1, 4, 6], (20, 7)),
        "k": rng.choice([3, 5], (20, 7)),
        "l": rng.choice([1, 2, 3, 4], (20, 7)),
        "se": rng.random((20, 7)) < 0.5,
        "top1": rng.uniform(40, 70, 20),
        "throughput": np.full(20, np.nan),
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(arrays: Arrays) -> Path:
        np.savez(tmp_path / "pairs.npz", **arrays)
        return tmp_path / "pairs.npz"

    return written


def test_stage_choices_are_the_genes_of_the_space(arrays: Arrays, write: Write) -> None:
    pairs = read_pairs(write(arrays), ACCEL)
    stages = layout_of(ACCEL).stages
    for number, own in enumerate(stages):
        assert (pairs.genes[:, own.depth.column] == arrays["l"][:, number] - 1).all()
        assert (pairs.genes[:, own.block.column] == (arrays["e"][:, number] > 1)).all()
        assert (pairs.genes[:, own.expand[0].column] == (arrays["e"][:, number] == 6)).all()
        assert (pairs.genes[:, own.se.column] == arrays["se"][:, number]).all()
    np.testing.assert_array_equal(pairs.top1, arrays["top1"])


def test_a_csv_of_dimensions_and_one_of_arrays_say_the_same(
    arrays: Arrays, write: Write, tmp_path: Path
) -> None:
    path = write(arrays)
    pairs = read_pairs(path, ACCEL)
    names = [gene.name for gene in layout_of(ACCEL).genes]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "top1"])
        for row, top1 in zip(pairs.genes.tolist(), pairs.top1.tolist()):
            chosen = [g.choices[i] for g, i in zip(layout_of(ACCEL).genes, row)]
            # a ratio that has no effect may be left empty
            cells = [
                "" if n.endswith("expand") and row[names.index(n[:7] + "block")] == 0 else c
                for n, c in zip(names, chosen)
            ]
            writer.writerow([*cells, top1])
    assert (read_pairs(tmp_path / "a.csv", ACCEL).genes == pairs.genes).all()
    write_predictions(tmp_path / "b.csv", path, Predicted(mean=pairs.top1, std=pairs.top1))
    assert (read_genes(tmp_path / "b.csv", ACCEL) == pairs.genes).all()
    header = (tmp_path / "b.csv").read_text().splitlines()[0].split(",")
    assert header[:2] == ["e_0", "e_1"]
    assert header[-2:] == ["predicted", "std"]


def changed(name: str, row: Any, value: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].astype(float)
        arrays[name][row] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: a.pop("top1"), "no column 'top1'"),
        (lambda a: a.pop("k"), "no column 'k', of which stage1.kernel has the choices 3, 5"),
        (lambda a: a.update(k=a["k"][:, :6]), r"k: .* needs the shape \(20, 7\), found \(20, 6\)"),
        (lambda a: a.update(k=a["k"][:6]), "k: 6 rows, expected 20"),
        (changed("k", (4, 2), 7), r"row 4: k\[2\]: must be one of 3, 5, found 7"),
        (changed("e", (4, 2), 3), r"row 4: e\[2\]: must be one of 1, 4, 6, found 3"),
        (changed("l", (4, 2), 0), r"row 4: l\[2\]: must be one of 1, 2, 3, 4, found 0"),
        (changed("se", (4, 2), np.nan), r"row 4: se\[2\]: must be one of 0, 0.25, found nan"),
        (changed("top1", 3, np.nan), r"top1\[3\]: must be a number, found nan"),
        (changed("top1", 3, 101), r"top1\[3\]: must be from 0 to 100 percent, found 101"),
        (changed("top1", 3, 0.71), r"top1\[3\]: .* shares of 1 and percentages are mixed"),
        (changed("top1", slice(None), 0.71), "at most 1; give percent, not shares"),
        (
            lambda a: a.update(loss=np.full(20, -1e200)),
            r"loss\[0\]: losses must be finite and below",
        ),
        (
            lambda a: a.update(loss=np.full(20, np.nan)),
            r"loss\[0\]: losses must be finite and below",
        ),
        (lambda a: a.update(top1_unit="ppm"), "top1_unit: must be one of percent, share .*'ppm'"),
        (
            lambda a: a.update(top1_unit=np.array([])),
            "top1_unit: must be one of .* found 'nothing'",
        ),
        (lambda a: a.update(top1_unit="share"), r"top1\[0\]: must be from 0 to 1, as top1_unit is"),
    ],
)
def test_what_is_wrong_is_named(
    arrays: Arrays, write: Write, change: Callable[[Arrays], object], text: str
) -> None:
    change(arrays)
    with pytest.raises((ConfigError, FileFormatError), match=text) as caught:
        read_pairs(write(arrays), ACCEL)
    assert "pairs.npz" in str(caught.value)


@pytest.mark.parametrize("values", [np.linspace(0, 1, 20), np.linspace(0.5, 40, 20)])
def test_accuracies_of_at_most_1_percent_are_taken_from_a_file_that_says_so(
    arrays: Arrays, write: Write, values: Any
) -> None:
    arrays["top1"] = values
    with pytest.raises(ConfigError, match="shares") as caught:
        read_pairs(write(arrays), ACCEL)
    assert caught.value.hint.startswith("say which in top1_unit")
    pairs = read_pairs(write(arrays | {"top1_unit": np.array("percent")}), ACCEL)
    np.testing.assert_array_equal(pairs.top1, values)
    by_row = {"top1_unit": np.full(20, "share")}
    shares = read_pairs(write(arrays | by_row | {"top1": values / 100}), ACCEL)
    np.testing.assert_allclose(shares.top1, values)


@pytest.mark.parametrize("values", [np.linspace(0, 1, 20), np.linspace(0.5, 40, 20)])
def test_collected_accuracies_are_percent_whatever_they_are(
    arrays: Arrays, write: Write, values: Any
) -> None:
    collected = {"genes": read_pairs(write(arrays), ACCEL).genes, "top1": values}
    pairs = read_pairs(write(collected | {"space": np.array(ACCEL.hash)}), ACCEL)
    np.testing.assert_array_equal(pairs.top1, values)
    with pytest.raises(ConfigError, match="shares"):
        read_pairs(write(collected), ACCEL)


def test_predictions_of_collected_pairs_are_read_as_pairs_again(
    arrays: Arrays, write: Write, tmp_path: Path
) -> None:
    pairs = read_pairs(write(arrays), ACCEL)
    collected = {"genes": pairs.genes, "top1": pairs.top1 / 100, "space": np.array(ACCEL.hash)}
    predicted = Predicted(mean=pairs.top1, std=pairs.top1)
    write_predictions(tmp_path / "b.csv", write(collected), predicted)
    again = read_pairs(tmp_path / "b.csv", ACCEL)
    np.testing.assert_array_equal(again.genes, pairs.genes)
    np.testing.assert_array_equal(again.top1, pairs.top1 / 100)
    other = load_space("mobilenet_v3")
    with pytest.raises(FileFormatError, match=r"its genes are of the space .*, not of 'mobilenet"):
        read_pairs(tmp_path / "b.csv", other)


def test_choices_that_are_no_rows_are_refused(write: Write) -> None:
    with pytest.raises(FileFormatError, match="genes: holds no subnets"):
        read_genes(write({"genes": np.array(3)}), ACCEL)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"space": "mnasnet_accel"}, "space: must be of type Space, found 'mnasnet_accel'"),
        ({"genes": None}, "genes: must be numbers as NumPy has them, found None"),
        ({"genes": np.full((20, 35), 0.5)}, "genes: must be whole numbers, found array"),
        ({"top1": "70"}, "top1: must be numbers as NumPy has them, found '70'"),
        ({"loss": np.full(20, 1j)}, "loss: must be numbers as NumPy has them, found array"),
    ],
)
def test_pairs_of_other_types_are_refused(
    arrays: Arrays, write: Write, wrong: Arrays, text: str
) -> None:
    pairs = read_pairs(write(arrays), ACCEL)
    given: dict[str, Any] = {"space": ACCEL, "genes": pairs.genes, "top1": pairs.top1}
    lists = {name: array.tolist() for name, array in given.items() if name != "space"}
    assert (AccuracyPairs(**given | lists).genes == pairs.genes).all()
    with pytest.raises(ConfigError, match=f"^{text}"):
        AccuracyPairs(**given | wrong)


def test_a_predictor_is_asked_for_genes_of_its_space(arrays: Arrays, write: Write) -> None:
    predictor = fit_predictor(read_pairs(write(arrays), ACCEL), "ridge")
    width = predictor.pairs.genes.shape[1]
    few = np.zeros((2, 3), dtype=np.int8)
    others: list[Any] = [few, few.tolist(), np.zeros(width, dtype=np.int8), None]
    for wrong in others:
        with pytest.raises(ConfigError, match=r"^genes: must be a NumPy array of the shape \(N, "):
            predictor.mean(wrong)
    with pytest.raises(ConfigError, match=r"^genes: some are no choices of space 'mnasnet_accel'"):
        predictor.predict(np.full((2, width), 100, dtype=np.int8))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"pairs": {}}, "pairs: must be of type AccuracyPairs, found {}"),
        ({"kind": None}, "kind: must be a text, found None"),
        ({"seed": -1}, "seed: must be 0 or more, found -1"),
        ({"folds": 2.5}, "folds: must be a whole number, found 2.5"),
    ],
)
def test_a_fit_of_other_types_is_refused(
    arrays: Arrays, write: Write, wrong: Arrays, text: str
) -> None:
    given: dict[str, Any] = {"pairs": read_pairs(write(arrays), ACCEL), "kind": "ridge"}
    with pytest.raises(ConfigError, match=f"^{text}"):
        fit_predictor(**given | wrong)


def test_a_predictor_is_loaded_by_the_name_of_its_file(
    arrays: Arrays, write: Write, tmp_path: Path
) -> None:
    fit_predictor(read_pairs(write(arrays), ACCEL), "ridge").save(tmp_path / "p.json")
    assert load_predictor(str(tmp_path / "p.json"), ACCEL).kind == "ridge"
    nothing: Any = None
    with pytest.raises(ConfigError, match="path: must be of type Path or str, found None"):
        load_predictor(nothing, ACCEL)


def test_an_accuracy_of_0_is_one_in_any_unit(arrays: Arrays, write: Write) -> None:
    arrays["top1"][3] = 0
    assert read_pairs(write(arrays), ACCEL).top1[3] == 0


def test_block_arrays_need_the_input_size_where_there_is_a_choice(write: Write) -> None:
    space = load_space("mobilenet_v3")
    arrays = {
        "ks": np.full((9, 20), 5),
        "e": np.full((9, 20), 4),
        "d": np.full((9, 5), 3),
        "top1": np.linspace(70, 75, 9),
    }
    with pytest.raises(FileFormatError, match="no column r; found"):
        read_pairs(write(arrays), space)
    assert len(read_pairs(write(arrays | {"r": np.full(9, 192)}), space)) == 9


def test_a_file_of_another_space_is_refused(
    tiny_space: Space, arrays: Arrays, write: Write
) -> None:
    with pytest.raises(ConfigError, match="has choices that k, e, l and se do not tell"):
        read_pairs(write(arrays), tiny_space)


# ------------------------------------------------------------------ published files


def thop_extra(operator: Operator) -> float:
    """What the package thop counts and we do not: 4 a value of each batch norm, and sums
    of each average pooling (in squeeze-excite too): its inputs and its outputs."""
    out = operator.out_height * operator.out_width
    if operator.op == "pool":
        return operator.in_channels * (operator.height * operator.width + 1)
    norms = operator.out_channels * out if operator.op != "linear" else 0
    if operator.op in ("dsconv", "mbconv"):
        norms += operator.mid_channels * out
        if operator.op == "mbconv":
            norms += operator.mid_channels * operator.height * operator.width
    pooled = operator.mid_channels * (out + 1) if operator.se else 0
    return 4 * norms + pooled


@needs_files
def test_macs_and_parameters_equal_the_published_ones() -> None:
    path = ACCURACY / "accel_nasbench_mnasnet.npz"
    genes = read_pairs(path, ACCEL).genes
    assert {o.op for o in operators_of(ACCEL)} == {"conv", "dsconv", "mbconv", "pool", "linear"}
    with np.load(path) as known:
        np.testing.assert_allclose(params_of(ACCEL, genes) / 1e6, known["params_m"], rtol=1e-9)
        counted = macs_of(ACCEL, genes) + OperatorSum(ACCEL, thop_extra)(genes)
        np.testing.assert_allclose(counted / 1e6, known["macs_m"], rtol=1e-9)


@needs_files
@pytest.mark.parametrize(
    ("name", "space", "count", "tau", "rmse"),
    [
        ("ofa_mbv3_w1.0_imagenet_top1", "mobilenet_v3", 100, 0.88, 0.28),
        ("accel_nasbench_mnasnet", "mnasnet_accel", 100, 0.80, 1.1),
    ],
)
def test_published_accuracies_are_predicted_from_a_hundred(
    name: str, space: str, count: int, tau: float, rmse: float
) -> None:
    pairs = read_pairs(ACCURACY / f"{name}.npz", load_space(space))
    order = np.random.default_rng(0).permutation(len(pairs))
    found = fit_predictor(pairs.take(order[300 : 300 + count]), "gp", folds=3)
    test = pairs.take(order[:300])
    from supernet.metrics import kendall_tau, root_mean_square_error

    assert kendall_tau(found.mean(test.genes), test.top1) > tau
    assert root_mean_square_error(found.mean(test.genes), test.top1) < rmse


def test_random_pairs_of_the_space_are_pairs() -> None:
    genes = sample(ACCEL, 9, np.random.default_rng(0))
    assert len(AccuracyPairs(space=ACCEL, genes=genes, top1=np.full(9, 50.0))) == 9
