"""Where the time of a training goes: a table of a step's parts, from a few real steps."""

import cProfile
import pstats
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.augmentation import cut_words, draw_view, render_view
from receipt_ocr.receipts.batches import plan_batches
from receipt_ocr.receipts.colours import recolour
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.samples import LabelledPage, TrainingSamples
from receipt_ocr.receipts.targets import render_targets
from receipt_ocr.training.loading import FramedPages
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.validation import Judge

__all__ = ["ProfileRow", "profile_training"]

SAMPLE_PARTS: dict[str, Callable[..., Any]] = {
    "decoded page": PageCache.load,
    "view drawn": draw_view,
    "view rendered": render_view,
    "colours": recolour,
    "words cut": cut_words,
    "targets": render_targets,
}
"""What a sample is made of, and by which function."""

CACHE_MIB = 512
WARM_UP = 2  # steps that load, compile and choose algorithms


@dataclass(frozen=True)
class ProfileRow:
    """A part of the work and what it costs.

    Attributes:
        group: ``sample`` (in the workers), ``step`` (on the device) or ``validation``.
        part: What is done.
        milliseconds: Mean a page.
        share: Of its group.
    """

    group: str
    part: str
    milliseconds: float
    share: float


def profile_training(
    recipe: Recipe, pages: Sequence[LabelledPage], steps: int = 5
) -> list[ProfileRow]:
    """Measure a few steps at the recipe's final size.

    Samples are drawn twice, so that decoded pages are at hand as from the second epoch on. The
    device is waited for after each part, so that the parts add up to a little more than a step
    takes in training.

    Args:
        recipe: What to train and how.
        pages: With words; as many are used as the steps need.
        steps: That are measured.

    Raises:
        ValueError: If there are no pages.
    """
    if not pages:
        raise ValueError("a profile needs labelled pages, got none")
    size = recipe.training.batch_size
    chosen = [pages[k % len(pages)] for k in range(max(len(pages), size))][: size * steps]
    with TemporaryDirectory() as folder:
        samples, batches = _prepare(recipe, chosen, Path(folder))
        rows = _profile_samples(samples, batches)
    return [*rows, *_profile_steps(recipe, batches, samples), *_profile_validation(recipe, chosen)]


def _prepare(
    recipe: Recipe, pages: Sequence[LabelledPage], folder: Path
) -> tuple[TrainingSamples, list[Any]]:
    """Samples at the final size whose pages are decoded, and an epoch's batches of them."""
    draw = (recipe.training.seed, recipe.frame.last_switch)
    samples = TrainingSamples(
        pages, recipe.frame, recipe.augmentation, recipe.targets, draw, (folder, CACHE_MIB)
    )
    batches = plan_batches(pages, recipe.frame, recipe.training.batch_size, draw)
    for request in batches[0] + [request for batch in batches for request in batch]:
        samples[request]
    return samples, batches


def _profile_samples(samples: TrainingSamples, batches: list[Any]) -> list[ProfileRow]:
    requests = [request for batch in batches for request in batch]
    profiler = cProfile.Profile()
    start = time.perf_counter()
    profiler.enable()
    for request in requests:
        samples[request]
    profiler.disable()
    whole = time.perf_counter() - start
    entries: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    spent = {part: _cumulative(entries, function) for part, function in SAMPLE_PARTS.items()}
    spent["the rest"] = max(0.0, whole - sum(spent.values()))
    return _as_rows("sample", spent, len(requests))


def _cumulative(entries: dict[Any, Any], function: Callable[..., Any]) -> float:
    """Seconds in a function and all that it called."""
    code = function.__code__
    entry = entries.get((code.co_filename, code.co_firstlineno, code.co_name))
    return float(entry[3]) if entry else 0.0


def _profile_steps(
    recipe: Recipe, batches: list[Any], samples: TrainingSamples
) -> list[ProfileRow]:
    settings = recipe.training
    device = _choose_device(settings.accelerator)
    module = DetectorModule(recipe, [], steps_per_epoch=1).to(device).train()
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
    optimizer = module.configure_optimizers()["optimizer"]
    spent: dict[str, float] = {}
    collated = [default_collate([samples[request] for request in batch]) for batch in batches]
    for number in range(-WARM_UP, len(collated)):
        clock = _Clock(spent if number >= 0 else {}, device)
        batch = collated[max(number, 0)]
        with clock.measure("to the device"):
            batch = {k: v.to(device) if torch.is_tensor(v) else v for k, v in batch.items()}
        half = torch.bfloat16 if settings.precision == "bf16-mixed" else torch.float16
        with torch.autocast(device.type, half, enabled=settings.precision != "32-true"):
            with clock.measure("forward"):
                output = module.network(batch["image"])
            with clock.measure("loss"):
                total = module.loss(output, batch).total
        with clock.measure("backward"):
            total.backward()
        with clock.measure("optimiser"):
            torch.nn.utils.clip_grad_norm_(module.network.parameters(), settings.gradient_clip)
            optimizer.step()
            optimizer.zero_grad()
    return _as_rows("step", spent, sum(map(len, batches)))


def _profile_validation(recipe: Recipe, pages: Sequence[LabelledPage]) -> list[ProfileRow]:
    device = _choose_device(recipe.training.accelerator)
    module = DetectorModule(recipe, [], steps_per_epoch=1).to(device).eval()
    judged = {page.name: page for page in pages}
    judge = Judge(list(judged.values()), recipe.postprocess)
    spent: dict[str, float] = {}
    framed = FramedPages(list(judged.values()), recipe)
    for number in range(-1, len(framed)):
        clock = _Clock(spent if number >= 0 else {}, device)
        with clock.measure("photo to frame"):
            page = framed[max(number, 0)]
        with clock.measure("forward"), torch.inference_mode():
            maps = module.network.predict(page.image[None].to(device))
        with clock.measure("decode and score"):
            judge.add(page.name, np.array(maps[0, 0].cpu()), page.frame)
    return _as_rows("validation", spent, len(framed))


class _Clock:
    def __init__(self, spent: dict[str, float], device: torch.device) -> None:
        self.spent = spent
        self.device = device

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - start


def _choose_device(accelerator: str) -> torch.device:
    return torch.device(
        "cuda" if accelerator in {"auto", "gpu"} and torch.cuda.is_available() else "cpu"
    )


def _as_rows(group: str, spent: dict[str, float], pages: int) -> list[ProfileRow]:
    whole = sum(spent.values())
    rows = [
        ProfileRow(group, part, 1000.0 * seconds / pages, seconds / whole)
        for part, seconds in spent.items()
    ]
    return [*rows, ProfileRow(group, "all", 1000.0 * whole / pages, 1.0)]
