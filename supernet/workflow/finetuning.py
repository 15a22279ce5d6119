"""Subnets that are finetuned before they are measured."""

import time
from typing import TYPE_CHECKING

from supernet.errors import TrainingError
from supernet.evaluate import Evaluation, EvaluationTask, failed
from supernet.files import fill
from supernet.progress import Progress, silent
from supernet.runs import Run

if TYPE_CHECKING:
    from supernet.evaluate import Evaluator

__all__ = ["SubnetEvaluator"]


class SubnetEvaluator:
    """Measures subnets of a run; those that a task says so are finetuned first.

    Finetuning is a tenth of the recipe's learning rate, on the training images alone
    (`supernet.train.finetune`). The supernet's weights stay as they are.

    Args:
        run: a trained one.
        device: where to measure.
        progress: told about loading images.
    """

    def __init__(self, run: Run, device: str = "cpu", progress: Progress = silent) -> None:
        self._run = run
        self._evaluator: Evaluator = run.evaluator(device, progress=progress)

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure one subnet; NaN where finetuning gave a loss that is not finite."""
        if task.precision == "int8":
            return self._int8(task)
        if not task.finetune_epochs:
            return self._evaluator.evaluate(task)
        from supernet.evaluate.fold import fold_norms
        from supernet.train import Recipe
        from supernet.train.finetune import finetune, finetune_recipe

        since, evaluator, subnet = time.perf_counter(), self._evaluator, task.subnet
        network = evaluator.network(subnet, calibration_images=task.calibration_images)
        recipe = finetune_recipe(
            fill(Recipe, self._run.config().recipe, "recipe"), task.finetune_epochs
        )
        try:
            finetune(network, evaluator.dataset, subnet.resolution, recipe, device=evaluator.device)
        except TrainingError as error:
            return failed(task, f"finetuning: {error}")
        evaluator.recalibrate(network, subnet.resolution, task.calibration_images)
        fold_norms(network)
        score = evaluator.score(network, subnet.resolution, task.split, images=task.images)
        return Evaluation(
            key=subnet.key,
            genes=task.genes,
            top1=score.top1,
            loss=score.loss,
            seconds=time.perf_counter() - since,
        )

    def _int8(self, task: EvaluationTask) -> Evaluation:
        from supernet.workflow.int8 import int8_score

        since = time.perf_counter()
        score = int8_score(
            self._evaluator,
            task.subnet,
            task.split,
            images=task.images,
            calibration_images=task.calibration_images,
        )
        return Evaluation(
            key=task.subnet.key,
            genes=task.genes,
            top1=score.top1,
            loss=score.loss,
            seconds=time.perf_counter() - since,
        )
