"""A training step on whole pages: frames of their own shapes against the square letterbox."""

from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import default_collate

from benchmarks.sroie import has_receipts, read_pages, read_recipe
from benchmarks.timing import best_time
from benchmarks.training_step import build_module, prepare_step
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.batches import plan_batches
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.samples import TrainingSamples


@dataclass(frozen=True)
class FrameTimes:
    """Milliseconds a page of a training step."""

    encoder: str
    square: float
    whole_pages: float

    @property
    def ratio(self) -> float:
        """How many times faster frames of the pages' own shapes are."""
        return self.square / self.whole_pages


def measure_frames(sroie: Path, encoders: tuple[str, ...], batches: int = 4) -> list[FrameTimes]:
    """Time steps at the text size of ``conf/sroie``, the same pages in both frames.

    It is a mean over some batches, of encoders with timm's names; empty without the receipts.
    """
    if not has_receipts(sroie):
        return []
    recipe = read_recipe()
    size = recipe.training.batch_size
    # Every fifth page, so that all shapes of the data set occur as often as in it.
    pages = read_pages(sroie, "train")[:: len(read_pages(sroie, "train")) // (batches * size)]
    pages = pages[: batches * size]
    times = []
    for encoder in encoders:
        changes = {"encoder": encoder, "pretrained": False, "encoder_weights": None}
        network = recipe.network.model_copy(update=changes)
        square, whole = (
            _time_epoch(recipe.model_copy(update={"network": network}), pages, shape)
            for shape in ("square", "page")
        )
        times.append(FrameTimes(encoder, square, whole))
    return times


def _time_epoch(recipe: Recipe, pages: list[LabelledPage], shape: str) -> float:
    frame = recipe.frame.model_copy(update={"shape": shape, "crop": None})
    samples = TrainingSamples(pages, frame, recipe.augmentation, recipe.targets, (0, 0))
    plan = plan_batches(pages, frame, recipe.training.batch_size, (0, 0))
    total = 0.0
    for requests in plan:
        batch = default_collate([samples[request] for request in requests])
        total += best_time(prepare_step(build_module(recipe), batch), rounds=2)
    return total / sum(map(len, plan))
