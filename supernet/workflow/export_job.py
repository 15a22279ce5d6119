"""One network on its way into files: written, opened in their runtimes, compared with torch."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from supernet.errors import ExportError
from supernet.evaluate import Evaluator
from supernet.export import Exporter, Sample, Source, verify
from supernet.export.card import Card, model_card
from supernet.export.contract import Precision
from supernet.export.culprits import lacking
from supernet.export.handover import (
    SAMPLES,
    write_labels,
    write_predict_script,
    write_samples,
)
from supernet.export.pixels import Deployed, pixels_of
from supernet.files import write_text
from supernet.progress import Progress
from supernet.space import SubnetFile
from supernet.workflow.export_folder import Written, files_in, images_told, write_each
from supernet.workflow.export_latency import LatencyCheck
from supernet.workflow.exported import ExportedFile, ExportRequest

__all__ = ["Job"]

_CHECKED = 1_000
"""Test images that other formats than ONNX are checked on, and held-out ones that int8 is chosen
by; at random, since images of folders lie in the order of their classes."""


class Job:
    """One network to export.

    Args:
        evaluator: with its weights and images.
        file: of the subnet.
        request: what to write.
    """

    def __init__(self, evaluator: Evaluator, file: SubnetFile, request: ExportRequest) -> None:
        self._evaluator, self._file, self._request = evaluator, file, request
        self._dataset = evaluator.dataset
        self.plain = evaluator.network(file.subnet).cpu()
        """Reads normalised images and gives logits."""
        self.ends = {**request.ends, "data": images_told(self._dataset)}
        """What files read and give, and the images that they were made with."""
        views = self._dataset.views
        self.preprocessing: dict[str, Any] = {
            "classes": list(self._dataset.classes),
            "mean": list(views.mean),
            "std": list(views.std),
            "frame": views.frame,
            "fit": self._dataset.reading.fit,
            "levels": {k: list(pair) for k, pair in self._dataset.reading.levels.items()},
            "pixels": request.pixels,
            "output": "probabilities" if request.probabilities else "logits",
        }
        self._network: nn.Module = self.plain
        if request.pixels or request.probabilities:
            self._network = Deployed(
                self.plain,
                views.mean,
                views.std,
                pixels=request.pixels,
                probabilities=request.probabilities,
            ).eval()

    def all_written(
        self, folder: Path, wanted: list[tuple[Exporter, Precision]], progress: Progress
    ) -> Written[ExportedFile]:
        """Every file that could be written, and why the others could not.

        Raises:
            ExportError, MissingPackageError: none could.
        """
        return write_each(
            folder,
            {
                _file_name(*one): partial(self.written, folder, *one, progress=progress)
                for one in wanted
            },
        )

    def written(
        self,
        folder: Path,
        made: Exporter,
        precision: Precision,
        progress: Progress,
        stem: str = "model",
    ) -> ExportedFile:
        """Write one file, open it and compare it with torch.

        Args:
            folder: of the file.
            made: its format.
            precision: of its numbers.
            progress: told about each step.
            stem: of its name.

        Raises:
            ExportError: an fp32 file computes something else than torch.
        """
        path = folder / _file_name(made, precision, stem)
        progress(0, 1, f"writing {path.name}")
        before = files_in(folder)
        source = self._source(precision)
        written = made.write(source, path, precision, progress)
        size = sum(part.stat().st_size for part in files_in(folder) - before)
        file = ExportedFile(
            path=path,
            format=made.name,
            precision=precision,
            size_bytes=size,
            notes=written.notes,
            facts={**written.facts, **self.ends},
        )
        if not made.runs_here:
            note = f"{path.name} was converted, and not run"
            return replace(file, notes=(*file.notes, note))
        progress(0, 1, f"checking {path.name} against torch")
        try:
            opened = made.open(path, threads=0 if made.name == "onnx" else 1)
            sample = self.sample("test", made.name != "onnx")
            found = verify(opened, self._network, sample, precision=precision)
        except Exception as error:  # runtimes raise anything, for an operator that they lack
            why = lacking(str(error), source) or " ".join(str(error).split())[-300:]
            raise ExportError(
                f"{path.name}: {made.title} does not run it: {why}",
                hint=self._request.other_opset(made),
            ) from error
        why = found.refused(made.tolerance, self.ends["output"]) if precision == "fp32" else ""
        if why:
            raise ExportError(
                f"{path.name}: not right in {opened.runtime}: {why}; it is not kept",
                hint="please report it with the subnet.json",
            )
        return replace(
            file, runtime=opened.runtime, verification=found, operators=opened.operators()
        )

    def add_aids(self, folder: Path, models: list[Path]) -> None:
        """Labels; and for ONNX files a script that runs them, samples, and what they answer."""
        classes = self._dataset.classes
        write_labels(folder, classes)
        if models:
            write_predict_script(folder)
            chosen = self._dataset.test.take(slice(0, None, max(1, len(self._dataset.test) // 2)))
            labels = [classes[label] for label in chosen.labels[:SAMPLES]]
            write_samples(folder, models, chosen.pixels(slice(0, SAMPLES)), labels)

    def hand_over(
        self,
        folder: Path,
        models: list[Path],
        measured: SubnetFile,
        latency: LatencyCheck | None,
    ) -> None:
        """What makes the folder one for strangers: labels, a script, samples, the model card."""
        self.add_aids(folder, models)
        card = Card(
            file=measured,
            network=self.plain,
            preprocessing=self.preprocessing,
            files=measured.measured["files"],
            latency=asdict(latency) | {"within": latency.within} if latency else None,
        )
        write_text(folder / "README.md", model_card(card))

    def _source(self, precision: Precision) -> Source:
        subnet, request = self._file.subnet, self._request
        int8 = precision == "int8"
        return Source(
            network=self._network,
            in_channels=self._dataset.in_channels,
            resolution=subnet.resolution,
            preprocessing=self.preprocessing,
            calibration=self.sample("calibration").batches if int8 else (),
            holdout=self.sample("holdout", some=True) if int8 else None,
            dynamic_batch=request.dynamic_batch,
            opset=request.opset,
            most_lost=request.most_lost,
            weights_bits=request.weights_bits,
            pixels=request.pixels,
        )

    def sample(self, split: Any, some: bool = False) -> Sample:
        """Images of a split as the files read them; `some` of them, always the same."""
        evaluator, resolution = self._evaluator, self._file.subnet.resolution
        count = _CHECKED if some else 0
        batches = evaluator.views(split, resolution, count)
        labels = evaluator.images(split, count).labels
        if self._request.pixels:
            views = self._dataset.views
            batches = [pixels_of(batch, views.mean, views.std) for batch in batches]
        return Sample(batches=batches, labels=labels)


def _file_name(made: Exporter, precision: Precision, stem: str = "model") -> str:
    return f"{stem}{'_int8' if precision == 'int8' else ''}{made.suffix}"
