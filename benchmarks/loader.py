"""Pages a second of the training loader against the straightforward way."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.plain_loader import draw_sample
from benchmarks.sroie import has_receipts, read_pages, read_recipe
from receipt_ocr.receipts.batches import plan_batches
from receipt_ocr.receipts.samples import TrainingSamples

CACHE_MIB = 1024


@dataclass(frozen=True)
class LoaderTimes:
    """Pages a second, one process."""

    plain: float
    first_epoch: float
    """Ours while photos are still decoded, in square frames."""
    square: float
    """Ours with decoded pages at hand, in the plain way's square frames."""
    whole_pages: float
    """Ours with decoded pages at hand, in frames of the pages' own shapes."""


def measure_loader(sroie: Path, count: int = 48) -> LoaderTimes | None:
    """Time samples of whole SROIE pages at the size and with the changes of ``conf/sroie``.

    Decoding, augmentation and targets, every page once a round; None without the receipts.
    """
    if not has_receipts(sroie):
        return None
    recipe = read_recipe()
    pages = read_pages(sroie, "train")[:count]
    size, changes = recipe.frame.final_size, recipe.augmentation

    strengths = {name: getattr(changes, name) for name in ("rotation", "brightness", "contrast")}

    def draw_plainly() -> None:
        for page in pages:
            draw_sample(page.path, page.polygons, size, **strengths)

    with TemporaryDirectory() as folder:
        cache = (Path(folder), CACHE_MIB)

        def draw(epoch: int, shape: str) -> None:
            frame = recipe.frame.model_copy(update={"shape": shape, "crop": None})
            samples = TrainingSamples(pages, frame, changes, recipe.targets, (0, epoch), cache)
            for batch in plan_batches(pages, frame, 4, (0, epoch)):
                for request in batch:
                    samples[request]

        TrainingSamples(pages[:1], recipe.frame, changes, recipe.targets, (0, 0))[0]  # compiles
        first = _rate(lambda: draw(0, "square"), count)
        rates: dict[str, list[float]] = {"plain": [], "square": [], "page": []}
        for epoch in range(1, 4):
            rates["plain"].append(_rate(draw_plainly, count))
            for shape in ("square", "page"):
                rates[shape].append(_rate(partial(draw, epoch, shape), count))
    return LoaderTimes(max(rates["plain"]), first, max(rates["square"]), max(rates["page"]))


def _rate(call: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    call()
    return count / (time.perf_counter() - start)
