"""One backbone on its way into files: written, opened in their runtimes, compared with torch."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from supernet.errors import ExportError
from supernet.evaluate import Evaluator
from supernet.export.backbone_card import BackboneCard, backbone_card
from supernet.export.contract import Exporter, Source
from supernet.export.handover import SAMPLES, write_predict_script, write_samples
from supernet.export.map_verification import MapCheck, refused, verify_maps
from supernet.export.pixels import Deployed, pixels_of
from supernet.files import write_text
from supernet.models import backbone_of
from supernet.progress import Progress
from supernet.space import SubnetFile, body_operators, chosen_maps, feature_maps, resized
from supernet.workflow.backbone_request import BackboneRequest
from supernet.workflow.export_folder import Written, images_told, write_each
from supernet.workflow.exported import ExportRequest

__all__ = ["BackboneJob"]

_STEM = "backbone"
_COMPARED = 16  # images that maps are compared on

Facts = dict[str, Any]


class BackboneJob:
    """One backbone to export.

    Args:
        evaluator: with its weights and images.
        file: of the subnet.
        wanted: maps and sizes.
        request: options of the files.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        file: SubnetFile,
        wanted: BackboneRequest,
        request: ExportRequest,
    ) -> None:
        self._evaluator, self._dataset = evaluator, evaluator.dataset
        self._file, self._wanted, self._request = file, wanted, request
        chosen = chosen_maps(feature_maps(file.subnet, file.operators), wanted.features)
        self._last = chosen[-1].stride
        self.size = wanted.image_size(file.subnet.resolution, self._last)
        body = body_operators(file.subnet, file.operators, wanted.features)
        self.operators = resized(body, *self.size)
        """Of the backbone, at the size of its images."""
        self.data = images_told(self._dataset)
        """Images that its statistics are of."""
        self.maps: list[Facts] = [
            {
                "name": one.name,
                "stride": one.stride,
                "channels": one.channels,
                "place": str(one.place),
                "height": self.operators[one.index].out_height,
                "width": self.operators[one.index].out_width,
            }
            for one in chosen
        ]
        self._network = evaluator.network(file.subnet).cpu()
        views, reading = self._dataset.views, self._dataset.reading
        self.preprocessing: Facts = {
            "mean": list(views.mean),
            "std": list(views.std),
            "frame": views.frame,
            "fit": reading.fit,
            "levels": {k: list(pair) for k, pair in reading.levels.items()},
            "pixels": request.pixels,
            "output": "features",
            "features": self.maps,
            "size": list(self.size),
        }

    def all_written(
        self, folder: Path, exporters: list[Exporter], progress: Progress
    ) -> Written[Facts]:
        """Facts of every file that could be written, and why the others could not.

        Raises:
            ExportError: the first one could not.
        """
        paths = {folder / f"{_STEM}{made.suffix}": made for made in exporters}
        return write_each(
            folder,
            {
                path.name: partial(self._written, path, made, progress)
                for path, made in paths.items()
            },
        )

    def _written(self, path: Path, made: Exporter, progress: Progress) -> Facts:
        progress(0, 1, f"writing {path.name}")
        network = self._body(self.size)
        source = Source(
            network=network,
            in_channels=self._dataset.in_channels,
            resolution=self.size[0],
            width=self.size[1],
            outputs=tuple(one["name"] for one in self.maps),
            multiple=self._last if self._wanted.any_size else 0,
            preprocessing=self.preprocessing,
            dynamic_batch=self._request.dynamic_batch,
            opset=self._request.opset,
            pixels=self._request.pixels,
        )
        written = made.write(source, path, "fp32", progress)
        checks = self._checked(path, made, progress)
        return {
            **written.facts,
            "format": made.name,
            "images": _COMPARED,
            "bytes": sum(part.stat().st_size for part in made.parts(path)),
            "maps": {name: asdict(check) for name, check in checks.items()},
            "notes": list(written.notes),
        }

    def _body(self, size: tuple[int, int]) -> nn.Module:
        """The backbone for images of a size, as the files compute it."""
        file = self._file
        body = backbone_of(
            self._network, file.subnet, file.operators, self._wanted.features, size
        ).eval()
        if not self._request.pixels:
            return body
        views = self._dataset.views
        return Deployed(body, views.mean, views.std, pixels=True, probabilities=False).eval()

    def _checked(self, path: Path, made: Exporter, progress: Progress) -> dict[str, MapCheck]:
        """What the file gives beside torch, at its size and, where that varies, at a larger one.

        Raises:
            ExportError: it does not run, or gives something else.
        """
        progress(0, 1, f"checking {path.name} against torch")
        more = [(self.size[0] + self._last, self.size[1] + 2 * self._last)]
        names = [one["name"] for one in self.maps]
        found: dict[str, MapCheck] = {}
        for size in [self.size, *(more if self._wanted.any_size else [])]:
            try:
                opened = made.open(path, threads=0 if made.name == "onnx" else 1)
                checks = verify_maps(opened, self._body(size), names, self._images(size))
            except Exception as error:  # runtimes raise anything, for an operator that they lack
                last = " ".join(str(error).split())[-300:]
                raise ExportError(
                    f"{path.name}: {made.title} does not run it: {last}",
                    hint=self._request.other_opset(made),
                ) from error
            why = refused(checks)
            if why:
                raise ExportError(
                    f"{path.name}: not right in {opened.runtime}: {why}; it is not kept",
                    hint="please report it with the subnet.json",
                )
            found = found or checks
        return found

    def _images(self, size: tuple[int, int]) -> list[Tensor]:
        """Some test images at a size, as the files read them."""
        views = self._dataset.views
        batches = self._evaluator.views("test", self._file.subnet.resolution, _COMPARED)
        scaled = [
            F.interpolate(batch.cpu(), size=size, mode="bilinear", antialias=True)
            for batch in batches
        ]
        if self._request.pixels:
            return [pixels_of(batch, views.mean, views.std) for batch in scaled]
        return scaled

    def hand_over(self, folder: Path, card: BackboneCard, models: list[Path]) -> None:
        """What makes the folder one for strangers: a script with samples, the card."""
        if models:
            write_predict_script(folder)
            test, classes = self._dataset.test, self._dataset.classes
            chosen = test.take(slice(0, None, max(1, len(test) // 2)))
            labels = [classes[label] for label in chosen.labels[:SAMPLES]]
            write_samples(folder, models, chosen.pixels(slice(0, SAMPLES)), labels)
        write_text(folder / "README.md", backbone_card(card))
