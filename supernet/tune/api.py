"""`supernet.tune(...)`: a study from Python, in a folder of its own."""

import os
from collections.abc import Mapping
from pathlib import Path

from supernet.arguments import Rule, called, held_to, kind, number, optional, path, text, whole
from supernet.data import EMBEDDED, absolute_source, load_dataset
from supernet.progress import Progress, silent
from supernet.space import Space, load_space
from supernet.studies import need_optuna
from supernet.train import Recipe, load_recipe, scaled
from supernet.tune.engines import check_engine, pruner_of
from supernet.tune.load import load_study
from supernet.tune.plan import Plan
from supernet.tune.result import StudyResult
from supernet.tune.samplers import check_names
from supernet.tune.session import Session
from supernet.tune.spec import Study
from supernet.workflow.engines import DEFAULT_ENGINE
from supernet.workflow.ray_tune import check_tune
from supernet.workflow.request import RAY_TUNE
from supernet.workflow.train import check_device

__all__ = ["RULES", "STUDIES", "tune"]

STUDIES = Path("studies")
"""Where studies are made, below the working directory."""

_GRACE = 9  # the epochs before which no trial is given up, as a part of all


RULES: Mapping[str, Rule] = {
    "study": kind(Study, Path, str),
    "data": path,
    "space": kind(Space, Path, str),
    "recipe": kind(Recipe, Path, str),
    "epochs": optional(number(above=0)),
    "trials": whole(1),
    "sampler": text,
    "pruner": optional(text),
    "grace_epochs": optional(whole(1)),
    "engine": text,
    "ray_address": text,
    "workers": whole(1),
    "storage": optional(text),
    "folder": optional(kind(os.PathLike, str)),
    "confirm": whole(0),
    "seed": whole(0),
    "device": text,
    "progress": called,
}
"""What each argument of `tune` must be."""


@held_to(RULES)
def tune(  # noqa: PLR0913  # the options of a user
    study: Study | Path | str,
    *,
    data: str = EMBEDDED,
    space: Space | Path | str = "demo",
    recipe: Recipe | Path | str = "demo",
    epochs: float | None = None,
    trials: int = 20,
    sampler: str = "tpe",
    pruner: str | None = None,
    grace_epochs: int | None = None,
    engine: str = DEFAULT_ENGINE,
    ray_address: str = "",
    workers: int = 1,
    storage: str | None = None,
    folder: Path | str | None = None,
    confirm: int = 2,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
) -> StudyResult:
    """Find the best recipe and space of a study: propose, train, give up what is poor, repeat.

    Called again with the same study and storage it goes on.

    Args:
        study: what varies, or its file.
        data: the images; the test images are never looked at.
        space: what does not vary of the space, a name or a file.
        recipe: what does not vary of the recipe, a name or a file.
        epochs: of every trial, all phases together; as the recipe says when not given.
        trials: of the study, in all; trials whose process was killed are tried again and not
            counted.
        sampler: who proposes: ``tpe``, ``gp``, ``cmaes`` or ``random``.
        pruner: who gives trials up: ``none``, ``median``, ``asha`` or ``hyperband``; ``median``
            when not given, of Ray Tune ``asha``.
        grace_epochs: before so many no trial is given up; a ninth of all when not given.
        engine: what trains: ``processes``, or ``ray-tune``, where Ray Tune's ASHA scheduler
            gives trials up and its Optuna searcher proposes.
        ray_address: of the Ray cluster that is joined; ``RAY_ADDRESS``, or one that starts here,
            when empty.
        workers: trainings at the same time, each in a process (or an actor) of its own, which
            share the threads (or the GPUs) of this one; 1 process trains in this one.
        storage: a URL as Optuna takes it, or ``journal:FILE``; a file in the folder when not
            given.
        folder: for the study; one below ``studies/`` by its name when not given.
        confirm: fresh seeds with which the best trial and the recipe as it is are trained at
            the end, 0 for none.
        seed: of all trainings, and of the sampler.
        device: where to train.
        progress: told about epochs.

    Returns:
        All trials, the best one, the comparison, and how much each parameter matters. The
        folder has ``best/recipe.yaml``, ``best/space.yaml`` and ``report.html``.

    Raises:
        ConfigError: an argument of another type, or one that breaks a rule; a study with values
            that no training takes, a storage of another study, more workers than fit into memory.
        MissingPackageError: Optuna, Ray Tune, or what a sampler needs, is not installed.
        StorageError: the storage is locked or gone, or the disk is full.
        TrainingError: all trials failed.

    Example:
        >>> import tempfile
        >>> import supernet
        >>> from supernet.tune import Parameter, Study
        >>> study = Study(
        ...     name="rates",
        ...     parameters={
        ...         "rate": Parameter(
        ...             key=("recipe.phases.*.lr", "recipe.phases.*.lr_end"),
        ...             low=0.3,
        ...             high=3,
        ...             log=True,
        ...             scale=True,
        ...         ),
        ...         "recipe.weight_decay": Parameter(low=1e-5, high=1e-2, log=True),
        ...     },
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:  # a folder of your own, in real life
        ...     result = supernet.tune(study, epochs=0.1, trials=2, confirm=0, folder=folder)
        >>> result.best.value >= result.baseline.value
        True
    """
    pruner = pruner if pruner is not None else pruner_of(engine)
    check_engine(engine, sampler=sampler, pruner=pruner, storage=storage or "", address=ray_address)
    if engine == RAY_TUNE:
        check_tune()
    need_optuna("supernet tune")
    asked = study if isinstance(study, Study) else load_study(study)
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    space = space if isinstance(space, Space) else load_space(space)
    check_names(sampler, pruner)
    check_device(device)
    plan = Plan(asked, scaled(recipe, epochs) if epochs is not None else recipe, space)
    dataset = load_dataset(data, resolution=space.resolutions[-1], seed=seed, progress=progress)
    session = Session(
        plan=plan,
        data=absolute_source(data),
        images=len(dataset.train),
        fingerprint=dataset.record.fingerprints()["train"] if dataset.record else "",
        holdout_images=len(dataset.holdout),
        folder=Path(folder) if folder is not None else STUDIES / asked.name,
        sampler=sampler,
        pruner=pruner,
        grace_epochs=grace_epochs or max(1, round(plan.epochs / _GRACE)),
        engine=engine,
        ray_address=ray_address,
        workers=workers,
        storage=storage or "",
        seed=seed,
        device=device,
        progress=progress,
    )
    return session.run(trials, confirm)
