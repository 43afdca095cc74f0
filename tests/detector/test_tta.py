"""Test-time augmentation: every view is undone, to the pixel."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.decoding.frames import MapFrame, align_map
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.tta import TtaView, list_views, predict_augmented, relative_cost
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.settings import FrameSettings

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

PAGE = (240, 380)  # width, height: a receipt, longer than wide
WORDS = ((30, 40, 130, 64), (150, 40, 210, 64), (60, 150, 200, 180), (20, 330, 90, 352))
SHAPES = (FrameSettings(sizes={0: 320}), FrameSettings(sizes={0: 320}, shape="page", crop=None))
ONE_FRAME = TtaSettings(flips=("horizontal", "vertical"), turns=(90, 180, 270))
ALL_VIEWS = ONE_FRAME.model_copy(update={"scales": (0.95, 1.0, 1.05)})
SINGLE_VIEWS = [
    *(TtaSettings(flips=(flip,)) for flip in ONE_FRAME.flips),
    *(TtaSettings(turns=(turn,)) for turn in ONE_FRAME.turns),
    *(TtaSettings(scales=scales) for scales in ((0.95, 1.0), (1.0, 1.05), (1.05,))),
]


@pytest.fixture(scope="module")
def page() -> Image:
    """White, with bars of ink, none of which lies where its mirror image would."""
    image = np.full((PAGE[1], PAGE[0], 3), 255, dtype=np.uint8)
    for left, top, right, bottom in WORDS:
        image[top:bottom, left:right] = 0
    return image


class Ink:
    """A network that copies ink to its output; it notes what it is shown."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, images: Image) -> Map:
        self.batches.append(images.shape)
        assert images.shape[1] % 32 == images.shape[2] % 32 == 0
        return (1.0 - images.max(axis=3) / 255.0).astype(np.float32)


def predict(page: Image, shape: FrameSettings, tta: TtaSettings, network: Ink | None = None) -> Map:
    frame = fit_frame(*PAGE, shape.final_size, shape.shape)
    return predict_augmented(page, frame, tta, shape, network or Ink())


def words_on(probability: Map, shape: FrameSettings) -> list[NDArray[np.float64]]:
    frame = fit_frame(*PAGE, shape.final_size, shape.shape)
    settings = PostprocessSettings(thresh=0.5, unclip_ratio=0.5, candidate_order="contour")
    return list(extract_polygons(probability, frame.map_to_page, settings).polygons)


@pytest.mark.parametrize("shape", SHAPES, ids=["square", "page"])
@pytest.mark.parametrize("tta", [*SINGLE_VIEWS, ALL_VIEWS], ids=lambda tta: tta.label)
def test_a_network_that_copies_ink_finds_the_same_words(
    page: Image, shape: FrameSettings, tta: TtaSettings
) -> None:
    plain = words_on(predict(page, shape, TtaSettings()), shape)
    augmented = words_on(predict(page, shape, tta), shape)
    assert len(plain) == len(augmented) == len(WORDS)
    pixel = PAGE[1] / shape.final_size  # of the map, on the page
    for expected, found in zip(plain, augmented, strict=True):
        boxes = [np.concatenate([p.min(axis=0), p.max(axis=0)]) for p in (expected, found)]
        np.testing.assert_allclose(boxes[1], boxes[0], atol=pixel)


@pytest.mark.parametrize(("flip", "turn"), product(("", "horizontal", "vertical"), (0, 90, 180)))
def test_undoing_a_view_moves_every_pixel_back(flip: str, turn: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    view = TtaView(1.0, flip, turn)
    seen = view.apply(image)
    assert (seen.shape[:2] == image.shape[:2]) == (turn != 90)
    as_map = seen[:, :, 0].astype(np.float32)
    np.testing.assert_array_equal(view.undo(as_map), image[:, :, 0])
    if flip or turn:
        assert not np.array_equal(seen[:32, :32], image[:32, :32])


def test_views_in_one_frame_leave_a_copied_map_as_it_is(page: Image) -> None:
    plain, averaged = (predict(page, SHAPES[1], tta) for tta in (TtaSettings(), ONE_FRAME))
    np.testing.assert_allclose(averaged, plain, atol=1e-6)


def test_views_of_one_shape_come_in_one_batch(page: Image) -> None:
    network = Ink()
    predict(page, SHAPES[1], ALL_VIEWS, network)
    # Upright, two flips and a half turn; then the quarter turns: at each of three scales.
    assert [batch[0] for batch in network.batches] == [4, 2] * 3
    assert len(list_views(ALL_VIEWS)) == 18
    assert relative_cost(ALL_VIEWS) == pytest.approx(6 * (0.95**2 + 1 + 1.05**2))
    network = Ink()
    predict(page, SHAPES[1], TtaSettings(), network)
    assert [batch[0] for batch in network.batches] == [1]


def test_views_are_averaged(page: Image) -> None:
    levels = iter([0.2, 0.8])

    def network(images: Image) -> Map:
        return np.stack([np.full(image.shape[:2], next(levels), np.float32) for image in images])

    shape = SHAPES[1]
    frame = fit_frame(*PAGE, shape.final_size, shape.shape)
    tta = TtaSettings(flips=("horizontal",))
    mean = predict_augmented(page, frame, tta, shape, network)
    inside = mean[frame.top : frame.top + frame.inner_height, frame.left : frame.left + 9]
    np.testing.assert_allclose(inside, 0.5, atol=1e-6)
    outside = MapFrame(mean.shape, frame.map_to_page, *PAGE)
    blanked = align_map(mean, outside, outside).copy()
    outside.blank_outside(blanked)
    np.testing.assert_array_equal(blanked, mean)  # nothing is text outside the page


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="each value must occur once"):
        TtaSettings(flips=("horizontal", "horizontal"))
    with pytest.raises(ValueError, match="turns"):
        TtaSettings(turns=(45,))  # type: ignore[arg-type]  # as YAML may give it
    with pytest.raises(ValueError, match=r"unknown .*'flip'; known are flips, none"):
        TtaVariants(selected="flip", variants={"none": {}, "flips": {}})  # type: ignore[dict-item]
    assert TtaSettings().label == ""
    assert TtaSettings(flips=("horizontal",), mean="logit").label == "horizontal,x1,logit"


@pytest.mark.parametrize(("selected", "name"), [("none", "lite0"), ("flips", "lite0@flips")])
def test_the_selected_view_names_an_experiment_s_maps(selected: str, name: str) -> None:
    variants = {"none": TtaSettings(), "flips": TtaSettings(flips=("horizontal",))}
    assert TtaVariants(selected=selected, variants=variants).name_variant("lite0") == name
    with pytest.raises(ValueError, match="none is the plain view of a page"):
        TtaVariants(selected=selected, variants={**variants, "none": variants["flips"]})
