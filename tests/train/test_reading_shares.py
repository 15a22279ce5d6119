"""Several processes read each image once between them."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.test_processes import run

IMAGES, BATCH = 40, 8

SCRIPT = """
import json, shutil, sys, time
from collections import Counter
from pathlib import Path

from supernet.data import decoding, load_dataset
from supernet.train import joined_processes
from supernet.train.batches import Batches

folder, room, batch = Path(sys.argv[1]), sys.argv[2] == "room", int(sys.argv[3])
counted, whole = Counter(), decoding.Square.decoded

def count(square, file):
    counted[str(file)] += 1
    return whole(square, file)

decoding.Square.decoded = count
if not room:
    usage = shutil.disk_usage(folder)._replace(free=0)
    shutil.disk_usage = lambda path: usage
with joined_processes("cpu") as processes:
    with processes.one_a_machine_first():
        dataset = load_dataset(str(folder), resolution=14)
    loaded = dict(counted)
    counted.clear()
    batches = Batches(dataset, batch_size=batch, processes=processes)
    for step in range(batches.steps_per_epoch - 1):  # the last one is read ahead
        batches.get(step, 0, 14)
    share = batch // processes.count
    for _ in range(1000):
        if room or sum(counted.values()) >= batches.steps_per_epoch * share:
            break
        time.sleep(0.02)
    batches.close()
    processes.barrier()
    told = {"loaded": loaded, "fed": counted, "fed_images": batches.steps_per_epoch * batch}
    Path(f"{sys.argv[2]}-{processes.count}-{processes.rank}.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shares")
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        for split, every in (("train", 1), ("val", 10)):
            path = place / "photos" / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if number // 2 % every == 0:
                Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    (place / "script.py").write_text(SCRIPT)
    return place


@pytest.mark.parametrize(
    ("room", "processes"),
    [
        ("room", 2),
        ("none", 1),
        pytest.param("room", 1, marks=pytest.mark.slow),
        pytest.param("none", 2, marks=pytest.mark.slow),
    ],
)
def test_each_image_is_decoded_once_by_all_processes_together(
    folder: Path, room: str, processes: int
) -> None:
    shutil.rmtree(folder / "home", ignore_errors=True)  # what was decoded before
    run(folder, "script.py", folder / "photos", room, BATCH, processes=processes)
    told = [
        json.loads((folder / f"{room}-{processes}-{rank}.json").read_text())
        for rank in range(processes)
    ]
    everything = list((folder / "photos").rglob("*.png"))
    loaded: Counter[str] = sum((Counter(own["loaded"]) for own in told), Counter())
    assert loaded == Counter(map(str, everything))  # to be stored, or to be checked
    fed: Counter[str] = sum((Counter(own["fed"]) for own in told), Counter())
    if room == "room":
        assert not fed
        return
    assert set(fed.values()) == {1}
    assert len(fed) == told[0]["fed_images"]
    assert [len(own["fed"]) for own in told] == [len(fed) // processes] * processes
