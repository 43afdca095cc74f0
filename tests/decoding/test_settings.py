"""Who votes in an ensemble, and what a grid may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from receipt_ocr.decoding.settings import EnsembleSettings, GridSettings
from receipt_ocr.receipts.settings import FOLD_COUNT


@pytest.mark.parametrize(
    ("members", "folds"),
    [
        ("all", tuple(range(FOLD_COUNT))),
        (0, (0,)),
        (3, (3,)),
        ([3, 0], (3, 0)),
        ([2], (2,)),
        ("0+2", (0, 2)),
    ],
)
def test_members_are_all_folds_one_or_a_list(members: Any, folds: tuple[int, ...]) -> None:
    assert EnsembleSettings(members=members).folds == folds


def test_weights_are_one_a_member() -> None:
    settings = EnsembleSettings(members=(1, 4), weights=(0.0, 2.0))
    assert settings.weights == (0.0, 2.0)
    assert EnsembleSettings().weights is None


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"members": []}, r"a fold or more, none twice, got \(\)"),
        ({"members": [1, 1]}, r"none twice, got \(1, 1\)"),
        ({"members": FOLD_COUNT}, "a fold from 0 to 4 or a list of folds .*got 5"),
        ({"members": -1}, "got -1"),
        ({"members": [0, FOLD_COUNT]}, r"got \[0, 5\]"),
        ({"members": "0+7"}, r"got '0\+7'"),
        ({"members": None}, "got None"),
        ({"members": "some"}, "'all'"),
        ({"members": [0, 1], "weights": [1.0]}, "one a member, got 1 for 2"),
        ({"weights": [0, 0, 0, 0, 0]}, r"sum to more than 0, got \[0.0, 0.0"),
        ({"members": 0, "weights": [-1.0]}, "greater than or equal to 0"),
        ({"members": 0, "weights": [float("nan")]}, "finite"),
        ({"thresholds": "best"}, "'auto', 'tuned' or 'recipe'"),
        ({"member": 0}, "Extra inputs"),
    ],
)
def test_malformed_ensembles_are_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EnsembleSettings.model_validate(block)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"thresh": [0.2, 0.2]}, r"each value must occur once, got \(0.2, 0.2\)"),
        ({"box_thresh": []}, "at least 1"),
        ({"unclip_ratio": [0.0]}, "greater than 0"),
        ({"workers": 0}, "greater than 0"),
    ],
)
def test_malformed_grids_are_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GridSettings.model_validate(block)
