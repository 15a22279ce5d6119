"""`supernet finetune` goes on where it was stopped."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from supernet.runs import Run, find_run
from supernet.space import SubnetFile, decode, smallest
from supernet.workflow.finetune import FinetuneOutcome, FinetuneRequest, finetune_subnet

Command = Callable[..., Any]

EPOCHS = 4  # of pictures, few enough for a second


class StopError(Exception):
    """What ends a training in the middle."""


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_was_stopped_goes_on_to_the_same_weights(
    supernet: Command, pictures: str, ema: float
) -> None:
    recipe = Path("recipe.yaml")
    recipe.write_text(recipe.read_text().replace("batch_size: 64", "batch_size: 16"))
    shown = ("--space", "tiny.yaml", "--recipe", "recipe.yaml", "--data", pictures)
    trained = supernet("train", *shown)
    assert trained.code == 0, trained.stderr
    run = Run(find_run(None).folder.resolve())
    space = run.space()
    subnet = Path("subnet.json").resolve()
    SubnetFile.of(space, decode(space, smallest(space))[0]).save(subnet)
    request = FinetuneRequest(epochs=EPOCHS, distill=0.5, ema=ema)

    whole = finetune_subnet(subnet, run, request)
    expected, steps = _left(whole)
    assert steps[-1] > steps[0] > 0
    shutil.move(whole.file.parent, "whole")

    told: list[int] = []

    def stop(done: int, total: int, what: str) -> None:
        del total
        if what.startswith("training"):
            told.append(done)
            if done == steps[1] + 2:  # in the middle of the third epoch
                raise StopError

    with pytest.raises(StopError):
        finetune_subnet(subnet, run, request, progress=stop)
    assert not whole.file.exists()
    begun: list[int] = []

    def note(done: int, total: int, what: str) -> None:
        del total
        if what.startswith("training"):
            begun.append(done)

    again = finetune_subnet(subnet, run, request, progress=note)
    assert begun[0] >= steps[1], "it began anew"
    assert (again.before, again.after) == (whole.before, whole.after)
    found, own_steps = _left(again)
    assert own_steps == steps
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.equal(found[name], values), name


def _left(outcome: FinetuneOutcome) -> tuple[dict[str, torch.Tensor], list[int]]:
    """Its weights, and the steps that its log tells."""
    run = Run(outcome.file.parent)
    log = (run.folder / "metrics.jsonl").read_text().splitlines()
    return load_file(run.weights()), [json.loads(line)["step"] for line in log]
