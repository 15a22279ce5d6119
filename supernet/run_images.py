"""The images of a run: those it was trained on, and whether they still are the same."""

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from supernet.errors import ConfigError
from supernet.evaluate import Split
from supernet.progress import Progress, note, silent
from supernet.reading import Reading

if TYPE_CHECKING:  # torch is loaded with `supernet.data`
    from supernet.data import Dataset, ImageRecord
    from supernet.runs import Run, RunConfig

__all__ = [
    "RECORD",
    "check_fits",
    "check_unchanged",
    "dataset_of",
    "fingerprint_of",
    "images_are_there",
    "tell_changes",
]

RECORD = "images.npz"
"""The file of a run's record of its images."""
TAR = ".tar"
"""With which names of tar files end."""
_MOST = 3  # class names that are told


def dataset_of(
    run: "Run", data: str | None, resolution: int, reading: Reading | None, progress: Progress
) -> "Dataset":
    """The images of a run, each used as when it was trained; others where they have changed.

    Args:
        run: of which.
        data: images to take instead, of the same classes.
        resolution: largest input size that will be asked for.
        reading: how picture files become pixels; as in the training when not given.
        progress: told about every decoded image, and about images that have changed.

    Raises:
        DataError: they are gone or damaged.
        ConfigError: the classes have changed.
    """
    from supernet.data import load_dataset

    config = run.config()
    own = config.reading if reading is None else reading
    if data:
        dataset = load_dataset(
            data,
            resolution=resolution,
            seed=config.seed,
            reading=own.elsewhere,
            progress=progress,
        )
    else:
        known = _record(run, config)
        dataset = load_dataset(
            config.data,
            resolution=resolution,
            seed=config.seed,
            known=known,
            seeded=known is None,
            reading=own,
            progress=progress,
        )
        if known is not None and dataset.record is not None:
            _tell(config.data, _compared(known, dataset.record), progress)
        elif config.images not in (0, len(dataset.train)):
            note(
                progress,
                f"{config.data}: has {len(dataset.train):,} training images, the run was trained "
                f"on {config.images:,}; it is of an older supernet and did not keep on which",
            )
    if config.data:
        _check_classes(data or config.data, dataset.classes, config.classes)
    return dataset


def check_fits(dataset: "Dataset", classes: int, channels: int) -> None:
    """Refuse images that a network cannot be asked about.

    Raises:
        ConfigError: another number of classes or of channels.
    """
    if len(dataset.classes) != classes:
        raise ConfigError(
            f"{dataset.name}: has {len(dataset.classes)} classes, the network {classes}",
            hint="its class folders must be those that the network was trained on",
        )
    if dataset.in_channels != channels:
        raise ConfigError(
            f"{dataset.name}: images have {dataset.in_channels} channels, the network reads "
            f"{channels}"
        )


def tell_changes(run: "Run", progress: Progress) -> None:
    """Say what is different in the images that a run was trained on.

    Nothing where they are the same, are not there now, or the run did not keep which they were.

    Raises:
        ConfigError: the classes are others.
    """
    config = run.config()
    known = _record(run, config)
    now = _now(config, known, progress) if known is not None else None
    if known is not None and now is not None:
        _check_classes(config.data, now.classes, config.classes)
        _tell(config.data, _compared(known, now), progress)


def check_unchanged(run: "Run") -> None:
    """Refuse to train on when images to train on or to choose by are others than before.

    Test images may be others: no step depends on them.

    Raises:
        ConfigError: they are.
    """
    config = run.config()
    known = _record(run, config)
    now = _now(config, known, silent) if known is not None else None
    if known is None or now is None:
        return
    _check_classes(config.data, now.classes, config.classes)
    found = now.fingerprints()
    if any(found[split] != config.fingerprints[split] for split in ("train", "holdout")):
        raise ConfigError(
            f"{config.data}: {'; '.join(_compared(known, now))}, so the training cannot go on as "
            "if it had never stopped",
            hint="put the images back, or start a new run from this one's weights with --init",
        )


def fingerprint_of(run: "Run", split: Split, data: str | None) -> str:
    """Of the images that an evaluation depends on: those of a split and the training images.

    Empty for data sets that cannot change and for runs that kept no fingerprints; those of
    the training where the folder is not there now.

    Args:
        run: of which.
        split: that is evaluated.
        data: images to take instead.
    """
    config = run.config()
    if data:
        from supernet.data import survey_source

        now = survey_source(data, seed=config.seed)
        found = now.fingerprints() if now is not None else {}
    else:
        found = dict(config.fingerprints)
        known = _record(run, config)
        now = _now(config, known, silent) if known is not None else None
        if now is not None:
            found = now.fingerprints()
    return f"{found['train']} {found[split]}" if found else ""


def images_are_there(run: "Run") -> bool:
    """Whether the folder or the tar files of a run's images are there; true of other data."""
    config = run.config()
    if not config.fingerprints:
        return True
    from supernet.data.shards import are_there

    return Path(config.data).is_dir() or (_may_be_there(config) and are_there(config.data))


def _record(run: "Run", config: "RunConfig") -> "ImageRecord | None":
    """What was kept of the images; None where nothing was."""
    if not config.fingerprints:
        return None
    from supernet.data import load_record

    return load_record(run.folder / RECORD)


def _now(config: "RunConfig", known: "ImageRecord", progress: Progress) -> "ImageRecord | None":
    """The images as they are; None where they are not there."""
    if not _may_be_there(config):
        return None
    from supernet.data import survey_source

    return survey_source(config.data, seed=config.seed, known=known, progress=progress)


def _may_be_there(config: "RunConfig") -> bool:
    """Whether the data is a folder, or a name for tar files."""
    return Path(config.data).is_dir() or Path(config.data).suffix.lower() == TAR


def _compared(known: "ImageRecord", now: "ImageRecord") -> list[str]:
    if known.fingerprints() == now.fingerprints():
        return []
    from supernet.data import changes

    return changes(known, now)


def _tell(data: str, found: list[str], progress: Progress) -> None:
    if found:
        note(
            progress,
            f"{data}: not the images that the run was trained with: {'; '.join(found)}. "
            "Accuracies are measured anew",
        )


def _check_classes(data: str, now: tuple[str, ...], before: tuple[str, ...]) -> None:
    composed = {unicodedata.normalize("NFC", name) for name in before}
    if composed == set(now) and len(before) == len(now):
        return
    parts = [
        f"{how} {', '.join(map(repr, names[:_MOST]))}"
        + f" and {len(names) - _MOST} more" * (len(names) > _MOST)
        for how, names in (
            ("new:", sorted(set(now) - composed)),
            ("gone:", sorted(composed - set(now))),
        )
        if names
    ]
    raise ConfigError(
        f"{data}: its classes are not those that the run was trained with ({'; '.join(parts)})",
        hint="put the class folders back, or train a new run",
    )
