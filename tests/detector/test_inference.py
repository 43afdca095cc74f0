"""From an image to polygons with a network that marks what is dark."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.checkpoint import Checkpoint, write_checkpoint
from receipt_ocr.detector.inference import Detector, predict_maps
from receipt_ocr.detector.network import DBNet, build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.tta_settings import TtaSettings
from receipt_ocr.geometry.polygons import bounding_box
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.settings import FrameSettings


class InkNetwork(DBNet):
    """The probability of text is the darkness of the pixel; black padding is taken for paper."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        grey = images.float().mean(dim=1, keepdim=True)
        return torch.where(grey < 1, torch.zeros(()), 1 - grey / 255)


@pytest.fixture
def ink_detector(recipe: Recipe) -> Detector:
    frame = FrameSettings(sizes={0: 192})
    # Ratio 0.01: the bars are drawn whole, nothing has to be regrown.
    postprocess = PostprocessSettings(thresh=0.5, box_thresh=0.5, unclip_ratio=0.01)
    recipe = recipe.model_copy(update={"frame": frame, "postprocess": postprocess})
    return Detector(InkNetwork(), recipe, device="cpu")


def draw_bars(boxes: list[tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    """A page of 300 x 400 pixels with dark rectangles."""
    image = np.full((400, 300, 3), 240, dtype=np.uint8)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = 10
    return image


def test_drawn_bars_are_found_where_they_are(ink_detector: Detector) -> None:
    bars = [(40, 60, 200, 90), (100, 200, 280, 240), (20, 320, 120, 350)]
    found = ink_detector.detect(draw_bars(bars))
    boxes = sorted((bounding_box(p) for p in found.polygons), key=lambda box: box[1])
    assert len(boxes) == len(found.scores) == 3
    # One map pixel is 400 / 192 page pixels; contours run through pixel centres.
    np.testing.assert_allclose(boxes, bars, atol=1.5 * 400 / 192)
    assert len(ink_detector.detect(draw_bars([])).polygons) == 0


@pytest.mark.parametrize(("shape", "size"), [("square", (192, 192)), ("page", (192, 160))])
def test_the_map_lies_in_the_letterboxed_frame(
    ink_detector: Detector, shape: str, size: tuple[int, int]
) -> None:
    ink_detector.frame = FrameSettings(sizes={0: 192}, shape=shape, crop=(64, 64))
    page = ink_detector.predict_map(draw_bars([(0, 0, 300, 400)]))
    frame = fit_frame(300, 400, 192, shape)  # type: ignore[arg-type]
    assert page.probability.shape == (frame.height, frame.width) == size
    np.testing.assert_array_equal(page.map_to_page, frame.map_to_page)
    assert (page.width, page.height) == (300, 400)
    # 300 * 192 / 400 = 144 columns of page, the rest is padding.
    columns = np.flatnonzero(page.probability.any(axis=0))
    assert (columns[0], len(columns)) == ((size[1] - 144) // 2, 144)


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 4), (3, 40, 30), (40, 30, 3)])
def test_an_image_of_another_shape_or_type_is_refused(
    ink_detector: Detector, shape: tuple[int, ...]
) -> None:
    kind = np.float32 if shape == (40, 30, 3) else np.uint8
    with pytest.raises(ValueError, match=r"image must be \(H, W, 3\) uint8 RGB, got \("):
        ink_detector.detect(np.zeros(shape, dtype=kind))  # type: ignore[arg-type]


def test_maps_of_files_are_predicted_one_by_one_when_asked_for(
    ink_detector: Detector, validation_pages: list[LabelledPage], tmp_path: Path
) -> None:
    images = {page.name: page.path for page in validation_pages}
    maps = predict_maps(ink_detector, {**images, "missing.png": tmp_path / "missing.png"})
    assert list(maps) == [*images, "missing.png"]
    page = maps["validation_0.png"]()
    assert (page.width, page.height) == (96, 128)
    with pytest.raises(FileNotFoundError, match="missing"):
        maps["missing.png"]()


def test_a_detector_from_a_file_detects_as_the_one_in_memory(
    recipe: Recipe, tmp_path: Path
) -> None:
    network = build_network(recipe.network)
    checkpoint = Checkpoint(Path("memory"), recipe, dict(network.state_dict()), 0, [])
    write_checkpoint(checkpoint, tmp_path / "best.ckpt")
    detector = Detector.from_checkpoint(tmp_path / "best.ckpt", device="cpu")
    assert detector.postprocess == recipe.postprocess
    image = draw_bars([(40, 60, 200, 90)])
    in_memory = Detector(network, recipe, device="cpu")
    expected = in_memory.predict_map(image).probability
    np.testing.assert_array_equal(detector.predict_map(image).probability, expected)
    assert expected.shape == (96, 96)  # the final size, not the first
    other = PostprocessSettings(thresh=0.4)
    restored = Detector.restore(checkpoint, recipe, postprocess=other)
    assert restored.postprocess == other


def test_the_source_of_maps_names_weights_and_tta_views(
    ink_detector: Detector, recipe: Recipe
) -> None:
    state = build_network(recipe.network).state_dict()
    checkpoint = Checkpoint("memory", recipe, state, 0, [])
    plain = ink_detector.source_of(checkpoint)
    assert plain == checkpoint.fingerprint
    ink_detector.tta = TtaSettings(flips=("horizontal",))
    assert ink_detector.source_of(checkpoint) == f"{plain}+horizontal,x1"


def test_a_map_that_is_not_finite_is_named_by_its_page(
    ink_detector: Detector, training_pages: list[LabelledPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    blow_up = lambda images: images[:, :1] * torch.tensor(float("nan"))  # noqa: E731
    monkeypatch.setattr(ink_detector.network, "predict", blow_up)
    page = training_pages[0]
    maps = predict_maps(ink_detector, {page.name: page.path})
    with pytest.raises(ValueError, match=rf"map of page '{page.name}': .* values from nan"):
        maps[page.name]()
