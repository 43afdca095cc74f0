"""A contact sheet of training samples at an epoch and the next one."""

from collections.abc import Container, Sequence

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.pictures.legend import Picture
from receipt_ocr.pictures.targets import draw_samples
from receipt_ocr.receipts.batches import plan_batches
from receipt_ocr.receipts.colours import check_pixels
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.samples import TrainingSamples

COLUMNS = 3
PAGES = 6  # each at two epochs


def draw_epochs(labelled: Sequence[LabelledPage], recipe: Recipe, epoch: int) -> Picture:
    """A few pages as the network sees them at an epoch (from 0) and the next one.

    Rows come in pairs: the same pages at the one and at the other epoch. Page, window and changes
    are those that training on these pages would draw, with the recipe's seed.

    Raises:
        ValueError: If the epoch is no whole number from 0, or there are no pages.
    """
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise ValueError(f"epoch must be a whole number from 0, got {epoch!r}")
    check_pixels(recipe.augmentation)
    if not labelled:
        raise ValueError("there is no train page with labels to draw samples of")
    requests, sources = {}, {}
    for number in (epoch, epoch + 1):
        draw = (recipe.training.seed, number)
        batches = plan_batches(labelled, recipe.frame, recipe.training.batch_size, draw)
        requests[number] = {request.page: request for batch in batches for request in batch}
        sources[number] = TrainingSamples(
            labelled, recipe.frame, recipe.augmentation, recipe.targets, draw
        )
    drawn, captions = [], []
    for number, page in _arrange(list(requests[epoch]), epoch, requests[epoch + 1]):
        request = requests[number][page]
        drawn.append(sources[number][request])
        name = labelled[page].name
        captions.append(f"{name}, epoch {number}, {request.width} x {request.height}")
    return draw_samples(drawn, captions, columns=COLUMNS)


def _arrange(pages: list[int], epoch: int, following: Container[int]) -> list[tuple[int, int]]:
    """(epoch, page) of each sample in reading order; each page is in the next epoch as well."""
    chosen = [page for page in pages if page in following][:PAGES] or pages[:PAGES]
    rows = [chosen[start : start + COLUMNS] for start in range(0, len(chosen), COLUMNS)]
    epochs = (epoch, epoch + 1) if chosen[0] in following else (epoch,)
    return [(number, page) for row in rows for number in epochs for page in row]
