"""An overlap is measured once and serves any choice among the detections."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.evaluation.cleval import (
    CLEvalSettings,
    measure_overlap,
    prepare_truth,
    score_overlap,
    score_page,
    score_prepared,
)
from receipt_ocr.geometry.batch import PolygonBatch
from tests import polygon_strategies as shapes
from tests.polygon_strategies import Page, box

WORD = box(0, 0, 40, 10)
NEXT_WORD = box(50, 0, 90, 10)
FAR = box(500, 500, 520, 520)


def test_pairs_are_sorted_by_detection_and_hold_what_is_shared() -> None:
    words = prepare_truth([WORD, NEXT_WORD])
    overlap = measure_overlap(words, [FAR, box(20, 0, 90, 10), WORD])
    assert overlap.detections.tolist() == [1, 1, 2]
    assert overlap.truths.tolist() == [0, 1, 0]
    assert overlap.inside.tolist() == [2, 4, 4]  # centres at 25, 35; at 55 to 85; at 5 to 35
    np.testing.assert_allclose(overlap.shares, [20 / 70, 40 / 70, 1.0], rtol=1e-6)
    assert overlap.is_care.all()


def test_a_batch_and_a_sequence_are_the_same() -> None:
    words = prepare_truth([WORD, NEXT_WORD])
    detections = [WORD, FAR, box(20, 0, 90, 10)]
    from_batch = measure_overlap(words, PolygonBatch.join(detections))
    assert score_overlap(from_batch) == score_prepared(words, detections)


def test_all_detections_are_measured_and_the_caller_applies_the_limit() -> None:
    words = prepare_truth([WORD], settings=CLEvalSettings(max_detections=1))
    overlap = measure_overlap(words, [FAR, WORD])
    assert len(overlap.found) == 2
    assert score_overlap(overlap, np.array([0])) == score_prepared(words, [FAR, WORD])


def test_a_batch_is_checked_as_a_sequence_is() -> None:
    broken = PolygonBatch.join([WORD, WORD + np.inf])
    with pytest.raises(ValueError, match="detection 1 must have finite coordinates"):
        measure_overlap(prepare_truth([WORD]), broken)


def test_an_overlap_can_be_sent_to_another_process() -> None:
    overlap = measure_overlap(prepare_truth([WORD], ignored=[True]), [WORD, FAR])
    expected = score_overlap(overlap)
    assert score_overlap(pickle.loads(pickle.dumps(overlap))) == expected


@settings(max_examples=40, deadline=None)
@given(shapes.pages(), st.data())
def test_a_choice_scores_as_if_the_others_had_never_been_found(
    page: Page, data: st.DataObject
) -> None:
    words = prepare_truth(page.truth, **page.options)
    overlap = measure_overlap(words, page.detections)
    for _ in range(3):
        flags = [data.draw(st.booleans()) for _ in page.detections]
        chosen = [index for index, is_chosen in enumerate(flags) if is_chosen]
        alone = score_page(page.truth, [page.detections[i] for i in chosen], **page.options)
        score = score_overlap(overlap, np.array(chosen, dtype=np.intp))
        assert (score.recall, score.precision) == (alone.recall, alone.precision)
        assert (score.missed, score.split) == (alone.missed, alone.split)
        assert score.merged == tuple(chosen[index] for index in alone.merged)
        assert score.false == tuple(chosen[index] for index in alone.false)
