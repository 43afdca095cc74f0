"""Where the time of a training goes: a table of its parts, from a few real steps.

``python -m benchmarks.step_profile --env=demo`` measures an experiment on the pages of the
workspace, which ``--pipeline=ingestion`` has written.
"""

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch.utils.data import default_collate

from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.receipts.augmentation import cut_words, draw_view, render_view
from receipt_ocr.receipts.batches import plan_batches
from receipt_ocr.receipts.colours import recolour
from receipt_ocr.receipts.labelled_pages import LabelledPage, load_pages
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.samples import TrainingSamples
from receipt_ocr.receipts.targets import render_targets
from receipt_ocr.report.markdown import format_table
from receipt_ocr.training.loading import FramedPages
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.validation import ValidationScorer

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE_PARTS: dict[str, Callable[..., Any]] = {
    "decoded page": PageCache.load,
    "view drawn": draw_view,
    "view rendered": render_view,
    "colours": recolour,
    "words cut": cut_words,
    "targets": render_targets,
}
"""Part of drawing a sample -> the function that does it."""
CACHE_MIB = 512
WARM_UP = 2  # steps that load, compile and choose algorithms


class Part(NamedTuple):
    """A part of the work and what it costs."""

    group: str
    """``sample`` (drawn in the workers), ``step`` (on the device) or ``validation``."""
    name: str
    milliseconds: float
    """Mean a page."""
    share: float
    """Share of its group, from 0 to 1."""


def profile_training(recipe: Recipe, pages: Sequence[LabelledPage], steps: int = 5) -> list[Part]:
    """Measure a few steps at the recipe's final size, on as many pages as they need.

    Samples are drawn twice, so that decoded pages are at hand as from the second epoch on. The
    device is waited for after each part, so that the parts add up to a little more than a step
    takes in training.
    """
    size = recipe.training.batch_size
    chosen = [pages[k % len(pages)] for k in range(max(len(pages), size))][: size * steps]
    draw = (recipe.training.seed, recipe.frame.last_switch)
    batches = plan_batches(chosen, recipe.frame, size, draw)
    with TemporaryDirectory() as folder:
        cache = (Path(folder), CACHE_MIB)
        samples = TrainingSamples(
            chosen, recipe.frame, recipe.augmentation, recipe.targets, draw, cache
        )
        for request in batches[0] + [request for batch in batches for request in batch]:
            samples[request]
        rows = _profile_samples(samples, batches)
        collated = [default_collate([samples[request] for request in batch]) for batch in batches]
    return [*rows, *_profile_steps(recipe, collated), *_profile_validation(recipe, chosen)]


def _profile_samples(samples: TrainingSamples, batches: list[Any]) -> list[Part]:
    requests = [request for batch in batches for request in batch]
    start = time.perf_counter()
    with cProfile.Profile() as profiler:
        for request in requests:
            samples[request]
    whole = time.perf_counter() - start
    entries: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    spent = {}
    for part, function in SAMPLE_PARTS.items():
        code = function.__code__
        entry = entries.get((code.co_filename, code.co_firstlineno, code.co_name))
        spent[part] = float(entry[3]) if entry else 0.0  # seconds with all that it called
    spent["the rest"] = max(0.0, whole - sum(spent.values()))
    return _as_parts("sample", spent, len(requests))


def _profile_steps(recipe: Recipe, batches: list[dict[str, Any]]) -> list[Part]:
    settings = recipe.training
    device = _choose_device(settings.accelerator)
    module = DetectorModule(recipe, [], steps_per_epoch=1).to(device).train()
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
    optimizer = module.configure_optimizers()["optimizer"]
    half = torch.bfloat16 if settings.precision == "bf16-mixed" else torch.float16
    spent: dict[str, float] = {}
    for number in range(-WARM_UP, len(batches)):
        clock = _Clock(spent if number >= 0 else {}, device)
        batch = batches[max(number, 0)]
        with clock.measure("to the device"):
            batch = {k: v.to(device) if torch.is_tensor(v) else v for k, v in batch.items()}
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
    return _as_parts("step", spent, sum(len(batch["page"]) for batch in batches))


def _profile_validation(recipe: Recipe, pages: Sequence[LabelledPage]) -> list[Part]:
    device = _choose_device(recipe.training.accelerator)
    network = DetectorModule(recipe, [], steps_per_epoch=1).network.to(device).eval()
    distinct = list({page.name: page for page in pages}.values())
    scorer, framed = ValidationScorer(distinct, recipe.postprocess), FramedPages(distinct, recipe)
    spent: dict[str, float] = {}
    for number in range(-1, len(framed)):
        clock = _Clock(spent if number >= 0 else {}, device)
        with clock.measure("photo to frame"):
            page = framed[max(number, 0)]
        with clock.measure("forward"), torch.inference_mode():
            maps = network.predict(page.image[None].to(device))
        with clock.measure("decode and score"):
            polygons = scorer.decode(maps[0, 0].cpu().numpy().copy(), page.frame)
            scorer.add(page.name, polygons)
    return _as_parts("validation", spent, len(framed))


class _Clock:
    def __init__(self, spent: dict[str, float], device: torch.device) -> None:
        self.spent = spent
        self.device = device

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":  # a GPU works on while Python goes ahead
            torch.cuda.synchronize(self.device)
        self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - start


def _choose_device(accelerator: str) -> torch.device:
    on_gpu = accelerator in {"auto", "gpu"} and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def _as_parts(group: str, spent: dict[str, float], pages: int) -> list[Part]:
    whole = sum(spent.values())
    spent = {**spent, "all": whole}
    return [Part(group, part, 1000 * s / pages, s / whole) for part, s in spent.items()]


def read_workspace(
    environment: str, parameters: dict[str, Any]
) -> tuple[Recipe, list[LabelledPage]]:
    """Read the selected recipe and the labelled training pages of an environment."""
    bootstrap_project(PROJECT)
    session = KedroSession.create(PROJECT, env=environment, runtime_params=parameters)
    context = session.load_context()
    catalog = context.catalog
    pages, words, raw = (catalog.load(name) for name in ("pages", "words", "raw_receipts"))
    recipe = Experiments.model_validate(context.params["experiments"]).chosen
    return recipe, load_pages(pages[pages["subset"] == "train"], words, raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step_profile",
        description="Milliseconds a page of drawing samples, training steps and validation.",
    )
    parser.add_argument("--env", default="base", help="environment (default: %(default)s)")
    parser.add_argument("--experiment", help="experiment (default: the selected one)")
    parser.add_argument("--steps", type=int, default=5, help="steps (default: %(default)s)")
    options = parser.parse_args(arguments)
    chosen = {"experiment": options.experiment} if options.experiment else {}
    recipe, pages = read_workspace(options.env, chosen)
    cells = [
        (part.group, part.name, f"{part.milliseconds:.1f}", f"{100 * part.share:.0f} %")
        for part in profile_training(recipe, pages, options.steps)
    ]
    sys.stdout.write(format_table(("group", "part", "ms a page", "share"), cells, left=2) + "\n")


if __name__ == "__main__":
    main()
