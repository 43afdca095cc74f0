"""Decoding and scoring a validation set against one training step of the SROIE environment."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

from benchmarks.sroie import has_receipts, read_pages, read_recipe
from benchmarks.timing import best_time
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.evaluation.cleval import TruthWords, prepare_truth, score_prepared
from receipt_ocr.geometry.polygons import transform_polygon
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.samples import TrainingSamples
from receipt_ocr.receipts.targets import render_targets
from receipt_ocr.training.module import DetectorModule

PAGES = 80


@dataclass(frozen=True)
class StepTimes:
    """Seconds."""

    pages: int
    decode_and_score: float
    training_step: float


def measure_training_step(sroie: Path) -> StepTimes | None:
    """Time validation on 80 SROIE pages, and a step of training with that environment's recipe.

    The maps are drawn from the truth (the shrink map of the page, blurred), so that no trained
    detector is needed; the truth is prepared before, once for all epochs. The step is network,
    loss, backward pass and optimiser on a batch of real samples, on as many cores as PyTorch
    takes; drawing the samples is not counted.

    It is None where the receipts are not there.
    """
    if not has_receipts(sroie):
        return None
    recipe = read_recipe()
    scored = [
        (_draw_map(page, recipe), prepare_truth(page.polygons))
        for page in read_pages(sroie, "test")[:PAGES]
    ]
    return StepTimes(
        pages=len(scored),
        decode_and_score=best_time(lambda: _score(scored, recipe)) / 1000.0,
        training_step=_time_step(recipe, read_pages(sroie, "train")) / 1000.0,
    )


def _draw_map(page: LabelledPage, recipe: Recipe) -> ProbabilityMap:
    frame = fit_frame(page.width, page.height, recipe.frame.sizes[-1].size, recipe.frame.shape)
    page_to_map = np.linalg.inv(frame.map_to_page).astype(np.float64)
    words = [transform_polygon(word, page_to_map) for word in page.polygons]
    kernels = render_targets(words, frame.height, frame.width, recipe.targets).shrink_map
    blurred: NDArray[np.float32] = cv2.GaussianBlur(kernels, (5, 5), 0).astype(np.float32)
    return ProbabilityMap.from_probability(blurred, frame.map_to_page, page.width, page.height)


def _score(scored: list[tuple[ProbabilityMap, TruthWords]], recipe: Recipe) -> float:
    scores = []
    for page, truth in scored:
        found = extract_polygons(page.probability, page.map_to_page, recipe.postprocess)
        scores.append(score_prepared(truth, found.polygons).hmean)
    return float(np.mean(scores))


def _time_step(recipe: Recipe, pages: list[LabelledPage]) -> float:
    pages, draw = pages[: recipe.training.batch_size], (recipe.training.seed, 0)
    samples = TrainingSamples(pages, recipe.frame, recipe.augmentation, recipe.targets, draw)
    batch = default_collate([samples[index] for index in range(len(samples))])
    return best_time(prepare_step(build_module(recipe), batch))


def build_module(recipe: Recipe) -> DetectorModule:
    """Build a recipe's network with its loss, to train on all cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    return DetectorModule(recipe, [], steps_per_epoch=1).train()


def prepare_step(module: DetectorModule, batch: dict[str, Any]) -> Callable[[], object]:
    """Prepare a training step: network, loss, backward pass, clipping and optimiser."""
    settings = module.recipe.training
    optimizer = module.configure_optimizers()["optimizer"]
    images = batch["image"]
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad()
        module.loss(module.network(images), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), settings.gradient_clip)
        optimizer.step()

    return step
