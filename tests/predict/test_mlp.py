"""A predictor that was trained elsewhere: what it reads, and how it is kept."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from supernet.errors import ConfigError, FileFormatError
from supernet.files import sha256
from supernet.predict import Input, MLPPredictor
from supernet.space import Space, canonical, decode, one_hot, sample
from supernet.space.layout import layout_of


def layers(*widths: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random weights between layers of these widths."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=(after, before)).astype(np.float32), rng.normal(size=after).astype("f4"))
        for before, after in itertools.pairwise(widths)
    ]


def all_inputs(space: Space) -> list[Input]:
    """One for every choice but the input size, those being numbers."""
    return [
        Input(dimension=gene.name, value=float(choice))
        for gene in layout_of(space).genes
        for choice in gene.choices
        if gene.name != "resolution"
    ]


def sizes(*pixels: float) -> list[Input]:
    return [Input(dimension="resolution", value=value) for value in pixels]


def genes_of(space: Space, count: int = 50) -> np.ndarray:
    return canonical(space, sample(space, count, np.random.default_rng(1)))


def test_it_computes_what_its_layers_say(tiny_space: Space) -> None:
    inputs = all_inputs(tiny_space)
    own = layers(len(inputs), 7, 5, 1)
    genes = genes_of(tiny_space)
    x = one_hot(tiny_space, genes)[:, 2:].astype(np.float64)  # behind the two input sizes
    for number, (weight, bias) in enumerate(own):
        x = x @ weight.T.astype(np.float64) + bias
        x = np.maximum(x, 0) if number < 2 else x
    found = MLPPredictor(tiny_space, inputs, own, {}).mean(genes)
    np.testing.assert_allclose(found, 100 * x[:, 0], rtol=1e-5)


def test_inputs_may_stand_in_any_order_and_be_unknown(tiny_space: Space) -> None:
    """A value that the space has not, and an input without a dimension, are never 1."""
    inputs, genes = all_inputs(tiny_space), genes_of(tiny_space)
    (weight, bias), *rest = layers(len(inputs), 7, 1)
    expected = MLPPredictor(tiny_space, inputs, [(weight, bias), *rest], {}).mean(genes)
    order = np.random.default_rng(2).permutation(len(inputs))
    more = [Input(dimension="stem.width", value=12), Input(dimension="", value=8)]
    wide = np.hstack([np.full((7, 2), 1e6, np.float32), weight[:, order]])
    shuffled = [*more, *(inputs[i] for i in order)]
    found = MLPPredictor(tiny_space, shuffled, [(wide, bias), *rest], {}).mean(genes)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_two_inputs_for_one_choice_the_first_counts(tiny_space: Space) -> None:
    twice = [Input(dimension="stem.width", value=8)] * 2
    ones = [(np.array([[0.25, 0.5]], np.float32), np.zeros(1, np.float32))]
    genes = genes_of(tiny_space)
    found = MLPPredictor(tiny_space, twice, ones, {}).mean(genes)
    widths = np.array([subnet.stem_width for subnet in decode(tiny_space, genes)])
    np.testing.assert_array_equal(found, 25.0 * (widths == 8))


SIZES = sizes(16, 32, 64)
OF_SIZE = [(np.array([[0.5, 0.7, 0.75]], np.float32), np.zeros(1, np.float32))]


@pytest.mark.parametrize(
    ("size", "expected"), [(16, 50), (32, 70), (64, 75), (24, 60), (48, 72.5), (96, 75), (8, 40)]
)
def test_between_two_known_sizes_answers_are_interpolated(
    tiny_space: Space, size: int, expected: float
) -> None:
    """Below the smallest the line goes on; above the largest the largest counts."""
    alone = replace(tiny_space, resolutions=(size,))
    chosen = replace(tiny_space, resolutions=tuple(sorted({size, 40, 56})))
    for space in (alone, chosen):
        genes = genes_of(space)
        found = MLPPredictor(space, SIZES, OF_SIZE, {}).mean(genes)
        at = [subnet.resolution == size for subnet in decode(space, genes)]
        np.testing.assert_allclose(found[at], expected, rtol=1e-6)


def test_order_and_number_of_sizes_do_not_matter(tiny_space: Space) -> None:
    genes = genes_of(tiny_space)
    expected = MLPPredictor(tiny_space, SIZES, OF_SIZE, {})
    backwards = [(OF_SIZE[0][0][:, ::-1].copy(), OF_SIZE[0][1])]
    found = MLPPredictor(tiny_space, SIZES[::-1], backwards, {})
    np.testing.assert_array_equal(found.mean(genes), expected.mean(genes))
    assert found.sizes == expected.sizes == (16, 32, 64)
    one = MLPPredictor(tiny_space, sizes(64), [(np.ones((1, 1), "f4"), np.zeros(1, "f4"))], {})
    assert one.mean(genes).tolist() == [100.0] * len(genes)


def test_populations_of_any_number_are_predicted_alike(
    tiny_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [*SIZES, *all_inputs(tiny_space)]
    predictor = MLPPredictor(tiny_space, inputs, layers(len(inputs), 9, 1), {})
    genes = genes_of(tiny_space)
    expected = predictor.mean(genes)
    monkeypatch.setattr("supernet.predict.mlp._CHUNK", 7)
    # single precision of sums of thousands, some of which nearly cancel
    tolerance = 1e-6 * float(np.abs(expected).max())
    np.testing.assert_allclose(predictor.mean(genes), expected, rtol=0, atol=tolerance)
    assert predictor.mean(genes[:0]).shape == (0,)


def kept(space: Space, folder: Path) -> Path:
    inputs = [*SIZES, *all_inputs(space)]
    own = MLPPredictor(space, inputs, layers(len(inputs), 9, 1), {"source": "a"})
    own.save(folder / "p.json")
    return folder / "p.json"


def test_it_comes_back_bit_for_bit(tiny_space: Space, tmp_path: Path) -> None:
    inputs = [*SIZES, *all_inputs(tiny_space), Input(dimension="", value=0)]
    own = MLPPredictor(tiny_space, inputs, layers(len(inputs), 9, 1), {"source": "a"})
    own.save(tmp_path / "new" / "p.json")
    found = MLPPredictor.load(tmp_path / "new" / "p.json", tiny_space)
    assert (found.inputs, found.source) == (own.inputs, own.source)
    genes = genes_of(tiny_space)
    assert (found.mean(genes) == own.mean(genes)).all()
    files = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    found.save(tmp_path / "new" / "p.json")
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert sorted(files) == ["p.json", "p.safetensors"]


def test_a_description_of_another_suffix_is_refused(tiny_space: Space, tmp_path: Path) -> None:
    own = MLPPredictor(tiny_space, SIZES, OF_SIZE, {})
    for name in ("p.safetensors", "p", "p.yaml", ".json"):
        with pytest.raises(ConfigError, match=r"must end in \.json"):
            own.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_weights_of_others_stay(tiny_space: Space, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"a network")
    with pytest.raises(ConfigError, match=r"model\.safetensors: holds other weights"):
        MLPPredictor(tiny_space, SIZES, OF_SIZE, {}).save(tmp_path / "model.json")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a network"]


def test_another_space_is_refused(tiny_space: Space, demo_space: Space, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"p\.json: of space 'tiny' \(.*\), not of 'demo'"):
        MLPPredictor.load(kept(tiny_space, tmp_path), demo_space)


BAD = np.ones((1, 3), np.float32)
ZERO = np.zeros(1, np.float32)


@pytest.mark.parametrize(
    ("inputs", "own", "text"),
    [
        ([], layers(0, 1), "inputs: must be from 1 to 16384, found 0"),
        (SIZES * 6000, layers(18000, 1), "inputs: must be from 1 to 16384, found 18000"),
        (SIZES, [], "layers: the last one must have one output, found 3"),
        (SIZES, layers(3, 2), "layers: the last one must have one output, found 2"),
        (SIZES, layers(2, 1), r"layers\[0\]: weight \(1, 2\) and bias \(1,\) do not fit 3 inputs"),
        (SIZES, [*layers(3, 4), *layers(5, 1)], r"layers\[1\]: weight \(1, 5\)"),
        (SIZES, layers(3, 20_000, 1), r"layers\[0\]: must have up to 16384 outputs"),
        (SIZES, [(BAD * np.nan, ZERO)], r"layers\[0\]: values must be finite"),
        (SIZES, [(BAD, ZERO - np.inf)], r"layers\[0\]: values must be finite"),
        (SIZES, [(BAD.astype("f8"), ZERO)], r"must be float32, found float64 and float32"),
        (SIZES, [(BAD[0], ZERO)], r"weight \(3,\) and bias"),
        (SIZES, [(BAD, np.zeros((1, 1), "f4"))], r"bias \(1, 1\)"),
        (sizes(16, 16, 32), OF_SIZE, "sizes must differ and be from 8 to 4096"),
        (sizes(16, 32, 1e300), OF_SIZE, "sizes must differ and be from 8 to 4096"),
        (sizes(-1, 0, 8), OF_SIZE, "sizes must differ and be from 8 to 4096"),
        ([Input(dimension="stage9.width\n", value=8)] * 3, OF_SIZE, r"no choice 'stage9.width\\n'"),
    ],
)
def test_what_does_not_fit_is_refused(
    tiny_space: Space, inputs: list[Input], own: Any, text: str
) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        MLPPredictor(tiny_space, inputs, own, {})
    assert str(caught.value).isprintable()


NAMES = ["", ".", "..", "../p.safetensors", "/etc/passwd", "a/p.safetensors", "a\0b", "a\nb", "no"]


@pytest.mark.parametrize("name", [*NAMES, "p.json", "n" * 5000])
def test_weights_lie_beside_the_description(tiny_space: Space, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside"
    path = kept(tiny_space, folder)
    (tmp_path / "p.safetensors").write_bytes((folder / "p.safetensors").read_bytes())
    document = json.loads(path.read_text())
    document["weights"]["path"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(FileFormatError) as caught:
        MLPPredictor.load(path, tiny_space)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda content: content[:-1], "not the weights that p.json was saved with"),
        (lambda content: b"", "not the weights that p.json was saved with"),
    ],
)
def test_other_weights_are_refused(
    tiny_space: Space, tmp_path: Path, change: Callable[[bytes], bytes], text: str
) -> None:
    path = kept(tiny_space, tmp_path)
    weights = tmp_path / "p.safetensors"
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(FileFormatError, match=text):
        MLPPredictor.load(path, tiny_space)


@pytest.mark.parametrize(
    ("layers_said", "tensors", "text"),
    [
        (2, {"0.weight": BAD, "0.bias": ZERO}, "cannot be read: '1.weight'"),
        (10**9, {"0.weight": BAD, "0.bias": ZERO}, "cannot be read: '1.weight'"),
        (0, {"0.weight": BAD, "0.bias": ZERO}, "the last one must have one output"),
        (-5, {"0.weight": BAD, "0.bias": ZERO}, "the last one must have one output"),
        (1, {"0.weight": BAD.astype("f2"), "0.bias": ZERO}, "must be float32"),
        (1, {"0.weight": BAD.astype("i4"), "0.bias": ZERO}, "must be float32"),
        (1, {"0.weight": BAD > 0, "0.bias": ZERO}, "must be float32"),
        (1, {"a": np.zeros(0, "f4")}, "cannot be read: '0.weight'"),
        (1, b"junk" * 30, "cannot be read: "),
    ],
)
def test_weights_that_were_made_to_fit_are_checked(
    tiny_space: Space, tmp_path: Path, layers_said: int, tensors: Any, text: str
) -> None:
    """Their checksum is right."""
    path, weights = kept(tiny_space, tmp_path), tmp_path / "p.safetensors"
    if isinstance(tensors, bytes):
        weights.write_bytes(tensors)
    else:
        save_file(tensors, weights)
    document = json.loads(path.read_text())
    document["weights"]["sha256"] = sha256(weights)
    document["layers"] = layers_said
    document["inputs"] = document["inputs"][:3]
    path.write_text(json.dumps(document))
    with pytest.raises((FileFormatError, ConfigError), match=text) as caught:
        MLPPredictor.load(path, tiny_space)
    assert str(caught.value).isprintable()
