"""`supernet.tune(...)` from Python, what it concludes, and what it keeps."""

import doctest
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import supernet
from supernet.errors import ConfigError
from supernet.memory import free_mib
from supernet.tune import Confirmed, Plan, Study, StudyResult, TrialRecord, api, load_result
from supernet.tune.contract import Outcome
from supernet.tune.identity import claim_folder
from supernet.tune.memory import check_memory
from supernet.tune.page import compared, write_page
from supernet.tune.result import save_result


@pytest.mark.slow
def test_the_example_of_the_docstring_runs(home: Path):
    found = doctest.testmod(api)
    assert (found.failed, found.attempted > 3) == (0, True)


def test_numbers_that_mean_nothing_are_refused_all_at_once(study: Study):
    with pytest.raises(ConfigError) as error:
        supernet.tune(study, trials=0, workers=0, confirm=-1, grace_epochs=0)
    assert len(error.value.problems) == 4


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"trials": "20"}, "trials: must be a whole number, found '20'"),
        ({"workers": 1.5}, "workers: must be a whole number, found 1.5"),
        ({"seed": -1}, "seed: must be 0 or more, found -1"),
        ({"epochs": "3"}, "epochs: must be a number, found '3'"),
        ({"space": 3}, "space: must be of type Space or Path or str, found 3"),
        ({"storage": 3}, "storage: must be a text, found 3"),
        ({"folder": 3}, "folder: must be of type PathLike or str, found 3"),
        ({"study": None}, "study: must be of type Study or Path or str, found None"),
    ],
)
def test_an_argument_of_another_type_is_refused_by_name(
    study: Study, wrong: dict[str, Any], text: str
):
    with pytest.raises(ConfigError, match=f"^{text}"):
        supernet.tune(**{"study": study} | wrong)


def trial(number: int, value: float | None, **more: object) -> TrialRecord:
    values = {"recipe.weight_decay": 10.0**-number}
    record = TrialRecord(
        number=number,
        state="complete" if value is not None else "pruned",
        values=values,
        value=value,
        epochs=(1, 2),
        curve=(50.0, value or 60.0),
    )
    return replace(record, **more)  # type: ignore[arg-type]  # fields of it


@pytest.fixture
def result(tmp_path: Path) -> StudyResult:
    failed = trial(3, None, state="failed", reason="a <b> & c", epochs=(), curve=())
    return StudyResult(
        name="decay",
        folder=str(tmp_path),
        data="fashion_mnist",
        subnet="largest",
        epochs=2.0,
        holdout_images=2000,
        sampler="tpe",
        pruner="asha",
        storage="sqlite:///study.sqlite",
        trials=(trial(0, 80.0, baseline=True), trial(1, 82.0), trial(2, None), failed),
        importances={"recipe.weight_decay": 1.0},
    )


def test_a_gain_has_the_error_of_the_images(result: StudyResult):
    assert result.searched is not None
    error = 100 * math.sqrt((0.8 * 0.2 + 0.82 * 0.18) / 2000)
    assert (result.searched.gain, result.searched.error) == pytest.approx((2.0, error))
    assert result.searched.verdict == "not told apart"
    assert "chosen as the best of 2, which flatters it" in compared(result)[1]


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((4, 4.2), "better"),
        ((-4, -4.2), "worse"),
        ((1, 0.5), "not told apart"),
        ((1, 9), "not told apart"),
    ],
)
def test_fresh_seeds_say_whether_there_is_a_gain(result: StudyResult, gains, verdict: str):
    pairs = [Confirmed(trial=1, seed=s, best=80.0 + g, baseline=80.0) for s, g in enumerate(gains)]
    of_another = Confirmed(trial=7, seed=0, best=99.0, baseline=1.0)
    found = replace(result, confirmed=(*pairs, of_another))
    assert found.fresh is not None
    assert found.fresh.gain == pytest.approx(sum(gains) / 2)
    assert found.fresh.verdict == verdict
    assert compared(found)[-1].endswith(f": {verdict}")


def test_that_nothing_is_better_is_said(result: StudyResult):
    poor = replace(result, trials=(result.trials[0], trial(1, 79.0)))
    assert compared(poor) == ["no trial is better than the recipe as it is: 80.00 %"]
    assert compared(replace(result, trials=result.trials[2:])) == ["no trial ended well"]


def test_a_folder_is_of_one_study(tmp_path: Path):
    claim_folder(tmp_path, "one", "a", {"seed": 0, "values": (1, 2)})
    claim_folder(tmp_path, "one", "a", {"seed": 0, "values": (1, 2)})
    for name, seed, told in (
        ("two", 0, "name was 'one', is 'two'"),
        ("one", 0, "the same one, kept in another storage"),
        ("one", 1, "identity.seed was 0, is 1"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"another study: {told}")) as error:
            claim_folder(tmp_path, name, "b", {"seed": seed, "values": (1, 2)})
        assert "--folder" in error.value.hint


def test_a_result_is_kept_whole(result: StudyResult):
    confirmed = Confirmed(trial=1, seed=1000, best=81.0, baseline=80.0)
    whole = replace(result, confirmed=(confirmed,), remarks=("one",))
    save_result(whole)
    assert load_result(Path(whole.folder)) == whole
    assert repr(whole) == (
        "StudyResult: 'decay', 4 trials, best 82.00 % (trial 1), on fresh seeds +1.00 ± 1.25 "
        "points: not told apart"
    )


def test_the_page_shows_every_trial(result: StudyResult, plan: Plan):
    confirmed = Confirmed(trial=1, seed=1000, best=81.0, baseline=80.0)
    page = write_page(replace(result, confirmed=(confirmed,)), plan).read_text()
    assert page.count('data-tip="trial ') == 3 + 3  # marks and curves; one failed at once
    for text in ("trial 1, complete: 82.00 %", "1 failed", "Fresh seeds", "What mattered"):
        assert text in page
    for drawing in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")
    assert "<b>" not in page


def test_more_workers_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("supernet.tune.memory.free_mib", lambda: 2300.0)
    need = Outcome(number=0, state="complete", peak_mib=1000.0)
    check_memory(2, need)
    with pytest.raises(ConfigError, match="3 trainings of 1,000 MiB at the same time") as error:
        check_memory(3, need)
    assert error.value.hint == "use --workers 2"
    with pytest.raises(ConfigError) as error:
        check_memory(1, replace(need, peak_mib=9000.0))
    assert error.value.hint == "free some memory, or lower batch_size"


def test_each_gpu_holds_only_so_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("supernet.tune.memory.free_mib", lambda: 1e6)
    monkeypatch.setattr("supernet.tune.memory._free_gpu_mib", lambda: 10_000.0)
    need = Outcome(number=0, state="complete", peak_mib=1000.0, gpu_mib=4000.0)
    check_memory(4, need, gpus=2)
    with pytest.raises(ConfigError, match="memory of each GPU") as error:
        check_memory(5, need, gpus=2)
    assert error.value.hint == "use --workers 4"


def test_free_memory_is_less_than_there_is():
    assert 0 < free_mib() < 2**30
