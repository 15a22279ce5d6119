"""Data sets as people have them: deep values, broken files, odd shapes; what is told and kept."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from supernet.data import Dataset, decoding, load_folder
from supernet.data.files import ImageFile
from supernet.data.rows import Rows
from supernet.data.survey import survey
from supernet.errors import DataError
from supernet.reading import FRESH, Reading, reading_told


def noise(shape: tuple[int, ...], most: int = 255, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).integers(0, most + 1, shape)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each, of noise."""
    root = tmp_path / "insects"
    for label, name in enumerate(("ant", "bee")):
        for split, count in (("train", 5), ("val", 2)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = noise((12 + i, 12 + i, 3), seed=10 * label + count).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


class Notes:
    """What was told that is no progress."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __call__(self, done: int, total: int, text: str) -> None:
        self.lines.extend([text] if total == 0 else [])


@pytest.fixture
def notes() -> Notes:
    return Notes()


def load(folder: Path, reading: Reading = FRESH, **changes: Any) -> Dataset:
    options: dict[str, Any] = {"resolution": 14, "cache": folder.parent / "cache"} | changes
    return load_folder(folder, reading=reading, **options)


def all_pixels(dataset: Dataset) -> Any:
    sets = (dataset.train, dataset.holdout, dataset.test)
    return np.concatenate([images.pixels(slice(None)) for images in sets])


# ------------------------------------------------------------------ deep values


def deepen(folder: Path, white: int) -> None:
    for path in folder.rglob("*.png"):
        values = np.asarray(Image.open(path).convert("L")).astype(float) / 255 * white
        Image.fromarray(values.astype(np.uint16)).save(path)


def test_one_scale_is_found_for_a_data_set_and_told(folder: Path, notes: Notes) -> None:
    deepen(folder, 1000)
    dark = folder / "train" / "ant" / "0.png"
    Image.fromarray(np.full((12, 12), 100, np.uint16)).save(dark)
    dataset = load(folder, progress=notes)
    assert dataset.reading.integers == (0.0, 1023.0)
    assert "14 of 14 images looked at hold integers of more than 8 bits" in notes.text
    assert "0 becomes black and 1,023 white" in notes.text
    assert 25 in np.unique(all_pixels(dataset)[:, 8, 8])  # 100 of 1023, not stretched by itself


def test_a_scale_that_was_found_is_kept(folder: Path, notes: Notes) -> None:
    deepen(folder, 1000)
    found = load(folder, progress=notes).reading
    brighter = folder / "val" / "ant" / "0.png"
    Image.fromarray(np.full((12, 12), 4000, np.uint16)).save(brighter)
    notes.lines.clear()
    assert load(folder, found, progress=notes).reading == found
    assert notes.text == ""
    assert load(folder, progress=notes).reading.integers == (0.0, 4095.0)


def test_a_data_set_that_is_dark_for_its_scale_is_told(folder: Path, notes: Notes) -> None:
    deepen(folder, 1000)
    Image.fromarray(np.full((12, 12), 65535, np.uint16)).save(folder / "train" / "ant" / "0.png")
    load(folder, progress=notes)
    assert "half of them stay below" in notes.text


def test_pictures_of_8_bits_are_not_looked_at_twice(folder: Path) -> None:
    assert load(folder).reading == Reading(looked=True)


# ------------------------------------------------------------------ broken files


def spoil(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"no image")


def test_all_broken_files_are_listed(folder: Path) -> None:
    names = ["train/ant/1.png", "train/bee/2.png", "val/bee/0.png"]
    spoil(folder, *names)
    with pytest.raises(DataError, match="3 of 14 images cannot be decoded, the first is") as caught:
        load(folder)
    listed = Path(str(caught.value).rsplit("listed in ", maxsplit=1)[1])
    lines = listed.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(folder / name) for name in names]
    assert all("cannot identify" in line for line in lines)


def test_the_others_are_not_decoded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "train" / "ant" / "1.png"
    content = path.read_bytes()
    spoil(folder, "train/ant/1.png", "train/ant/2.png")
    with pytest.raises(DataError):
        load(folder)
    decoded: list[str] = []
    whole = decoding.Square.decoded

    def note(square: decoding.Square, file: ImageFile) -> decoding.Picture:
        decoded.append(Path(str(file)).name)
        return whole(square, file)

    monkeypatch.setattr(decoding.Square, "decoded", note)
    with pytest.raises(DataError, match="2 of 14"):
        load(folder)
    assert set(decoded) <= {"1.png", "2.png"}  # what failed is tried again: a disk may be back
    decoded.clear()
    path.write_bytes(content)
    with pytest.raises(DataError, match="1 of 14"):
        load(folder)
    assert set(decoded) <= {"1.png", "2.png"}


def test_a_file_that_could_not_be_read_for_a_time_is_read_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = decoding.Square.decoded

    def refused(square: decoding.Square, file: ImageFile) -> decoding.Picture:
        if str(file) == str(folder / "train" / "bee" / "1.png"):
            raise PermissionError("no right to read it")
        return whole(square, file)

    monkeypatch.setattr(decoding.Square, "decoded", refused)
    with pytest.raises(DataError, match="1 of 14"):
        load(folder)
    monkeypatch.setattr(decoding.Square, "decoded", whole)
    assert len(load(folder).train) + len(load(folder).holdout) == 10


def test_broken_files_are_left_out_where_asked_for(folder: Path, notes: Notes) -> None:
    path = folder / "train" / "ant" / "1.png"
    content = path.read_bytes()
    spoil(folder, "train/ant/1.png", "val/bee/0.png")
    dataset = load(folder, Reading(skip_broken=True), progress=notes)
    assert dataset.reading.left_out == ("train/ant/1.png", "val/bee/0.png")
    assert len(dataset.train) + len(dataset.holdout) == 9
    assert dataset.test.labels.tolist() == [0, 0, 1]
    assert "2 of 14 images cannot be decoded and are left out; they are listed in" in notes.text
    path.write_bytes(content)  # a run sees the same images ever after
    again = load(folder, dataset.reading, known=dataset.record, progress=notes)
    np.testing.assert_array_equal(all_pixels(again), all_pixels(dataset))


def test_the_first_broken_file_is_told_at_once_and_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before all others are decoded, and the refusal names how many there are."""
    from supernet.data import store

    monkeypatch.setattr(store, "_CHUNK", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    spoil(folder, "train/ant/1.png", "train/bee/3.png")
    told: list[tuple[int, str]] = []
    with pytest.raises(DataError, match="2 of 14"):
        load(folder, progress=lambda done, total, text: told.append((total, text)))
    early = [place for place, (_, text) in enumerate(told) if "looking for others" in text]
    assert len(early) == 1
    total, text = told[early[0]]
    assert total == 0  # a note
    assert text.startswith(f"{folder / 'train/ant/1.png'} cannot be decoded (")
    after = [total for total, text in told[early[0] + 1 :] if text == "decoding images"]
    assert len(after) >= 8  # of ten in the training folder


def test_a_file_that_breaks_later_is_refused(folder: Path) -> None:
    found = load(folder, Reading(skip_broken=True)).reading
    spoil(folder, "train/ant/1.png")
    with pytest.raises(DataError, match="1 of 14") as caught:
        load(folder, found)
    assert caught.value.hint == "put back what was there, or remove them"


def test_a_class_without_a_whole_image_is_refused(folder: Path) -> None:
    spoil(folder, *(f"train/ant/{i}.png" for i in range(5)))
    with pytest.raises(DataError, match="ant: none of its 5 images can be decoded"):
        load(folder, Reading(skip_broken=True))


@pytest.mark.parametrize(("split", "what"), [(1, "to hold out"), (2, "to test on")])
def test_a_split_without_a_whole_image_is_refused(
    folder: Path, split: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "val")
    part = survey(folder, folder.parent / "cache").parts[0]
    files = [str(file) for images in part.by_class for file in images]
    own = {file for file, use in zip(files, part.splits) if use == split}
    whole = decoding.Square.decoded

    def refused(square: decoding.Square, file: ImageFile) -> decoding.Picture:
        if str(file) in own:
            raise OSError("damaged")
        return whole(square, file)

    monkeypatch.setattr(decoding.Square, "decoded", refused)
    with pytest.raises(DataError, match=f"none of the {len(own)} images {what} can be") as caught:
        load(folder, Reading(skip_broken=True))
    assert "others are cut in their place" in caught.value.hint


# ------------------------------------------------------------------ odd pictures


def test_images_of_one_colour_are_told_once(folder: Path, notes: Notes) -> None:
    for name in ("1", "2"):
        Image.new("RGB", (20, 20), (7, 8, 9)).save(folder / "train" / "bee" / f"{name}.png")
    load(folder, progress=notes)
    told = notes.lines
    assert len(told) == 1
    assert "2 of 14 images come out of one colour, such as" in told[0]
    assert "bee/1.png (red, green, blue: 7, 8, 9)" in told[0]


@pytest.mark.parametrize("size", [(400, 40), (40, 400)])
def test_long_pictures_are_told_and_made_to_fit(
    folder: Path, notes: Notes, size: tuple[int, int]
) -> None:
    pixels = np.full((size[1], size[0], 3), 100, np.uint8)
    pixels[: max(40, size[1] // 4), : max(40, size[0] // 4)] = 250  # a quarter at one end
    Image.fromarray(pixels).save(folder / "val" / "ant" / "0.png")
    seen = {
        fit: load(folder, Reading(fit=fit), progress=notes).test.pixels(np.array([0]))[0]
        for fit in ("crop", "pad", "squash")
    }
    assert "1 of 14 images are more than twice as long as wide" in notes.text
    assert notes.text.count(f"({size[0]} x {size[1]}): only their centre is seen") == 1
    assert seen["crop"].max() < 110  # the end is outside of it
    assert seen["squash"][:3, :3].min() > 240
    assert np.abs(seen["squash"][8:, 8:].astype(int) - 100).max() <= 2
    black = (seen["pad"].max(axis=2) < 30).mean()
    assert 0.8 < black < 0.95  # nine tenths of it
    assert (seen["pad"] > 150).any()


def test_whole_pictures_are_evaluated_whole(folder: Path) -> None:
    assert load(folder).views.frame == 0.875
    assert load(folder, Reading(fit="pad")).views.frame == 1


def test_the_size_and_time_of_decoding_are_told_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet.data import store

    monkeypatch.setattr(store, "_WORTH_TELLING_S", 0)
    monkeypatch.setattr(store, "_SAMPLE", 1)
    monkeypatch.setattr(store, "_CHUNK", 2)
    told: list[str] = []
    rows: list[int] = []
    plain = Rows.note

    def note(own: Rows, row: int, found: Any) -> None:
        rows.append(row)
        plain(own, row, found)

    monkeypatch.setattr(Rows, "note", note)
    load(folder, progress=lambda done, total, text: told.append(text))
    assert rows[:2] == [0, 1]  # neighbours: rows far apart are written to the disk more slowly
    about = [line for line in told if "takes about" in line]
    assert "decoding 8 of 10 images takes about 0 s; decoded they take 7.7e-06 GB in" in about[0]
    decoding = [line for line in told if line != "reading images"]
    assert decoding.index(about[0]) == 1  # two are decoded before: their time tells that of all


# ------------------------------------------------------------------ exported files


def test_files_say_how_pictures_are_read() -> None:
    found = reading_told({"fit": "pad", "levels": {"integer": [0, 4095]}}, Reading())
    assert found == Reading(fit="pad", integers=(0, 4095), looked=True)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"fit": "pad"},
        {"fit": "best", "levels": {}},
        {"fit": "pad", "levels": {"integer": [0]}},
        {"fit": "pad", "levels": {"integer": "01"}},
        {"fit": "pad", "levels": {"integer": [5, 5]}},
        {"fit": "pad", "levels": {"float": [0, float("nan")]}},
        {"fit": ["pad"], "levels": {}},
    ],
)
def test_what_other_files_say_does_not_count(facts: dict[str, Any]) -> None:
    assert reading_told(facts, Reading()) == Reading()
