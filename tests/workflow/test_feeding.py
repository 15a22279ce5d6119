"""How images become what a file reads."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from supernet.export import OpenedModel
from supernet.export.contract import InputSpec

from supernet.data import Views
from supernet.errors import ConfigError
from supernet.workflow.evaluation import EvaluateRequest
from supernet.workflow.feeding import Feeding, feeding_of, with_output

OWN = Views(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), frame=1.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def file(dtype: str = "float32", **told: Any) -> OpenedModel:
    """A network of others that tells these facts."""
    return OpenedModel(
        runtime="none",
        input=InputSpec(shape=(1, 3, 8, 8), dtype=dtype),
        call=lambda images: np.zeros((len(images), 10), np.float32),
        operators=Counter,
        preprocessing=told,
    )


def fed(model: OpenedModel, **asked: Any) -> Feeding:
    return feeding_of(Path("theirs.onnx"), model, OWN, **({"mean": (), "std": ()} | asked))


@pytest.mark.parametrize("std", [STD, (1 / 255,) * 3], ids=["deviation", "none"])
def test_a_mean_of_values_up_to_255_is_one_of_values_up_to_1(std: tuple[float, ...]) -> None:
    """As torchvision's and as Caffe's, which divides by nothing."""
    large = [[round(255 * value, 3) for value in values] for values in (MEAN, std)]
    found = fed(file(mean=large[0], std=large[1]))
    assert np.allclose(found.views.mean, MEAN, atol=1e-5)
    assert np.allclose(found.views.std, std, rtol=1e-4)
    (note,) = found.notes
    assert "mean [123.675, 116.28, 103.53]" in note
    assert note.endswith("of pixel values up to 255, and divided by that")


def test_what_is_taken_from_a_file_of_others_is_said() -> None:
    found = fed(file(mean=list(MEAN), std=list(STD)))
    assert (found.views.mean, found.views.std) == (MEAN, STD)
    assert found.notes == (
        "normalised by what it tells: mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225]",
    )
    assert not fed(file(mean=list(MEAN), std=list(STD), frame=1.0)).notes  # of this library
    assert fed(file()) == Feeding(views=OWN)


@pytest.mark.parametrize(
    "told",
    [
        {"mean": [123.7, 116.3, 103.5], "std": list(STD)},
        {"mean": [123.7, 116.3, 103.5]},
        {"mean": list(MEAN), "std": [58.4, 57.1, 57.4]},
    ],
)
def test_a_scale_that_cannot_be_told_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not whether pixel values go to 1 or to 255") as error:
        fed(file(**told))
    assert "--mean and --std" in error.value.hint
    found = fed(file(**told), mean=MEAN, std=STD)  # the way out
    assert (found.views.mean, found.views.std, found.notes) == (MEAN, STD, ())
    assert not fed(file("uint8", **told)).notes  # it normalises by itself


def test_what_is_asked_for_is_of_values_up_to_1() -> None:
    for asked in ({"mean": (58.0,), "std": (1.0,)}, {"mean": (0.5,), "std": (58.0,)}):
        with pytest.raises(ConfigError, match="is of pixel values from 0 to 1, found 58"):
            EvaluateRequest(mean=asked["mean"], std=asked["std"])
    EvaluateRequest(mean=(-1.0, 1.0), std=(1.0,))


def heads(**outputs: tuple[int, ...]) -> OpenedModel:
    """A network with these outputs, which are all numbered from 0."""

    def maps(images: Any) -> dict[str, Any]:
        return {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in outputs.items()}

    first = next(iter(outputs))
    return replace(file(), call=lambda images: maps(images)[first].reshape(1, -1), maps=maps)


def test_the_output_that_tells_classes_is_taken() -> None:
    path, images = Path("theirs.onnx"), np.zeros((1, 3, 8, 8), np.float32)
    for model in (
        heads(map=(1, 4, 2, 2), classes=(1, 10)),
        heads(classes=(1, 10), map=(1, 4, 2, 2)),
        heads(logits=(1, 10), probabilities=(1, 10)),
        heads(map=(1, 4, 2, 2), classes=(1, 10, 1, 1)),
    ):
        found = with_output(path, model, 10, images)
        assert found.logits([images]).tolist() == [[*range(10)]]
    for model in (heads(map=(1, 4, 2, 2), sevens=(1, 7)), heads(a=(1, 3), b=(1, 10), c=(1, 10))):
        with pytest.raises(ConfigError, match=r"has [23] outputs, .*; the images have 10 classes"):
            with_output(path, model, 10, images)
    named = heads(label=(1,), classes=(1, 10))
    maps = named.maps
    assert maps is not None
    words = replace(named, maps=lambda images: maps(images) | {"label": np.array(["bag"])})
    assert with_output(path, words, 10, images).logits([images]).shape == (1, 10)
    alone = heads(map=(1, 4, 2, 2))
    assert with_output(path, alone, 10, images) is alone  # told by the number of its values
