"""Who votes in an ensemble."""

from typing import Any

import pytest
from pydantic import ValidationError

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.receipts.settings import FOLD_COUNT

OWN = [f"fold_{fold}" for fold in range(FOLD_COUNT)]


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ("all", OWN),
        (0, ["fold_0"]),
        ("fold_3", ["fold_3"]),
        ([3, 0], ["fold_3", "fold_0"]),
        ([2], ["fold_2"]),
        ("0+2", ["fold_0", "fold_2"]),
        ("0 + wide/2", ["fold_0", "wide/fold_2"]),
        (["all", "lite0@flips/all"], [*OWN, *(f"lite0@flips/{name}" for name in OWN)]),
        ("best", ["fold_1", "wide/fold_0"]),
        (["best", 4], ["fold_1", "wide/fold_0", "fold_4"]),
    ],
)
def test_members_are_folds_of_any_experiment(members: Any, names: list[str]) -> None:
    settings = EnsembleSettings(members=members, sets={"best": (1, "wide/0")})
    assert [str(member) for member in settings.voters] == names


def test_weights_are_one_a_member() -> None:
    settings = EnsembleSettings(members=(1, 4), weights=(0.0, 2.0))
    assert settings.weights == (0.0, 2.0)
    assert EnsembleSettings().weights == "equal"
    assert EnsembleSettings.model_validate({"weights": None}).weights == "equal"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"members": []}, r"a fold or more, none twice, got \[\]"),
        ({"members": [1, 1]}, r"none twice, got \['fold_1', 'fold_1'\]"),
        ({"members": ["wide/all", "wide/2"]}, "none twice"),
        ({"members": FOLD_COUNT}, "ensemble.members: '5' is no member; one is all, a fold from 0"),
        ({"members": -1}, "'-1' is no member"),
        ({"members": [0, FOLD_COUNT]}, "'5' is no member"),
        ({"members": "0+7"}, "'7' is no member"),
        ({"members": "wide/7"}, "'wide/7' is no member"),
        ({"members": None}, "members"),
        ({"members": "some", "sets": {"one": [1]}}, "'some' is no member; .* 0 to 4, one, or of"),
        ({"sets": {"one": [9]}}, r"ensemble\.sets\.one: '9' is no member"),
        ({"sets": {"one": [1], "two": ["one"]}}, r"ensemble\.sets\.two: 'one' is no member"),
        ({"sets": {"all": [1]}}, "'all' means something else already"),
        ({"sets": {"fold_1": [1]}}, "'fold_1' means something else already"),
        ({"members": [0, 1], "weights": [1.0]}, "one a member, got 1 for 2"),
        ({"weights": [0, 0, 0, 0, 0]}, r"sum to more than 0, got \[0.0, 0.0"),
        ({"weights": "best"}, "'equal' or 'out_of_fold'"),
        ({"members": 0, "weights": [-1.0]}, "greater than or equal to 0"),
        ({"members": 0, "weights": [float("nan")]}, "finite"),
        ({"mean": "median"}, "'probability' or 'logit'"),
        ({"thresholds": "best"}, "'auto', 'tuned', 'holdout' or 'recipe'"),
        ({"member": 0}, "Extra inputs"),
    ],
)
def test_malformed_ensembles_are_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EnsembleSettings.model_validate(block)
