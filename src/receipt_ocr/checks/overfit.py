"""Overfit one page: a network that cannot learn one page will not learn a data set either."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from receipt_ocr.checks.findings import Finding, Level
from receipt_ocr.decoding.postprocess import Detections
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.inference import Detector
from receipt_ocr.detector.network import DBNet, build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.evaluation.cleval import PageScore, score_page
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.samples import TrainingSamples
from receipt_ocr.receipts.settings import AugmentationSettings, SizeStage
from receipt_ocr.training.loss import DBLoss

WINDOW = 320  # pixels: what a step costs must not depend on the recipe's frame
BATCH = 2  # more than one, so that batch norm has something to measure
LEARNING_RATE = 0.003
STATISTICS_BATCHES = 12
LOOKS = 5  # times that the page is scored, evenly over the time or the steps
LEARNT = 0.95  # H-mean that ends the training early
GOOD_HMEAN = 0.9
POOR_HMEAN = 0.5
FALLEN = 0.9  # of the first loss: a network that learns at all is soon below
FEW_STEPS = 30


@dataclass(frozen=True)
class OverfitResult:
    """Outcome of overfitting one page."""

    page: str
    loss_before: float
    """Mean of the first steps."""
    loss_after: float
    """Mean of the last steps."""
    score: PageScore
    """Score of the same page, decoded with the recipe's post-processing."""
    detections: Detections
    steps: int
    seconds: float
    finding: Finding

    @property
    def hmean(self) -> float:
        """CLEval H-mean of the page."""
        return self.score.hmean


def overfit_page(
    recipe: Recipe, page: LabelledPage, seconds: float = 60.0, max_steps: int = 600
) -> OverfitResult:
    """Train the recipe's network on small windows of one page, and score it on that page.

    Windows are cut from the page at the recipe's final size and are not augmented. Batch norm's
    statistics are measured anew before the page is scored.

    Args:
        recipe: Network, loss, frame, targets and post-processing; the schedule is the test's own.
        page: A page with words.
        seconds: Of training, at most; a look at the score comes on top.
        max_steps: At most.

    Raises:
        ValueError: If the page has no words to learn.
    """
    if all(page.ignored):
        raise ValueError(f"page {page.name!r} has no words to learn; choose another one")
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        return _Overfitting(recipe, page).run(seconds, max_steps)


class _Overfitting:
    """The state of an overfitting run: network, optimiser and losses."""

    def __init__(self, recipe: Recipe, page: LabelledPage) -> None:
        on_gpu = recipe.training.accelerator != "cpu" and torch.cuda.is_available()
        self.device = "cuda" if on_gpu else "cpu"
        self.recipe = recipe
        self.page = page
        self.image = read_upright(page.path)
        self.network: DBNet = build_network(recipe.network).to(self.device)
        self.loss = DBLoss(recipe.loss)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE)
        self.losses: list[float] = []
        self.batches = _batches(recipe, page, self.device)

    def run(self, seconds: float, max_steps: int) -> OverfitResult:
        """Train until the page is learnt, or time or steps are spent."""
        start, next_look = time.monotonic(), 1.0 / LOOKS
        progress = 0.0
        while True:
            self._step(progress)
            spent = time.monotonic() - start
            progress = max(spent / seconds, len(self.losses) / max_steps)
            is_broken = not isfinite(self.losses[-1])
            if progress < next_look and not is_broken:
                continue
            next_look = min(1.0, next_look + 1.0 / LOOKS)
            # A map of NaN cannot be decoded: nothing is found.
            found = Detections((), np.empty(0)) if is_broken else self._detect()
            truth = self.page.polygons
            score = score_page(truth, found.polygons, ignored=self.page.ignored)
            if is_broken or progress >= 1.0 or score.hmean >= LEARNT:
                return self._report(score, found, time.monotonic() - start)

    def _step(self, progress: float) -> None:
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (0.05 + 0.95 * (1 + cos(pi * min(progress, 1.0))) / 2)
        batch = next(self.batches)
        total = self.loss(self.network(batch["image"]), batch).total
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.training.gradient_clip)
        self.optimizer.step()
        self.losses.append(float(total.detach()))

    def _detect(self) -> Detections:
        # Batch norm's running mean lags behind the weights of so short a training.
        batches = (next(self.batches)["image"] for _ in range(STATISTICS_BATCHES))
        update_bn(batches, self.network)
        return Detector(self.network, self.recipe, device=self.device).detect(self.image)

    def _report(self, score: PageScore, detections: Detections, seconds: float) -> OverfitResult:
        few = max(1, min(5, len(self.losses) // 4))
        before, after = float(np.mean(self.losses[:few])), float(np.mean(self.losses[-few:]))
        steps = len(self.losses)
        message = (
            f"after {steps} steps ({seconds:.0f} s) on {self.page.name} alone the loss went from "
            f"{before:.2f} to {after:.2f}, and its words are found with H-mean {score.hmean:.4f}"
        )
        level, advice = _judge((before, after), score.hmean, steps, self.recipe.postprocess)
        finding = Finding(level, "one page by heart", message, advice)
        return OverfitResult(
            self.page.name, before, after, score, detections, steps, seconds, finding
        )


def _batches(recipe: Recipe, page: LabelledPage, device: str) -> Iterator[dict[str, Tensor]]:
    """Endless batches of windows of one page, cut as in training but not augmented."""
    height, width = recipe.frame.crop or (recipe.frame.final_size, recipe.frame.final_size)
    frame = recipe.frame.model_copy(
        update={
            "sizes": (SizeStage(epoch=0, size=recipe.frame.final_size),),
            "crop": (min(height, WINDOW), min(width, WINDOW)),
        }
    )
    plain = AugmentationSettings(horizontal_flip=0.0, min_visible=recipe.augmentation.min_visible)
    draw = 0
    while True:
        samples: list[dict[str, Any]] = []
        while len(samples) < BATCH:
            source = TrainingSamples(
                [page], frame, plain, recipe.targets, draw=(recipe.training.seed, draw)
            )
            samples.append(source[0])
            draw += 1
        yield {
            name: torch.from_numpy(np.stack([sample[name] for sample in samples])).to(device)
            for name in samples[0]
            if name != "page"
        }


def _judge(
    losses: tuple[float, float], hmean: float, steps: int, postprocess: PostprocessSettings
) -> tuple[Level, str]:
    """Level and advice, from the losses before and after and the page's score."""
    before, after = losses
    if not isfinite(after):
        return "problem", (
            "the loss is no number: lower training.learning_rate, use training.precision 32-true, "
            "and check the encoder's weights"
        )
    if hmean >= GOOD_HMEAN:
        return "ok", ""
    if after > FALLEN * before and steps >= FEW_STEPS:
        return "problem", (
            "the network does not learn: compare the picture's targets with the page; check the "
            "weights of the loss and the encoder's ImageNet weights"
        )
    if steps < FEW_STEPS or hmean >= POOR_HMEAN:
        return (
            "warning",
            "it learns, but slowly: repeat on an idle machine or a GPU before you worry",
        )
    return "problem", (
        "the loss falls, yet the words are not found: see the round trip for frame, targets and "
        f"postprocess (thresh {postprocess.thresh:g}, box_thresh {postprocess.box_thresh:g}); if "
        "that is fine, start from ImageNet weights"
    )
