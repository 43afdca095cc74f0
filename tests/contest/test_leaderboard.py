"""Scores of a leaderboard: what is refused, whose they are, and how far from what was known."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from receipt_ocr.contest.leaderboard import (
    SCORE_KEYS,
    SUBMISSION_KEYS,
    compute_gaps,
    describe_making,
    describe_submission,
    find_submission,
    list_figures,
    part_records,
    score_record,
)
from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.datasets.records import Records
from receipt_ocr.pipelines.leaderboard import nodes

FIRST, SECOND, THIRD = "s0123456789ab", "s0123499999ff", "sfedcba987654"


def record(experiment: str = "lite0") -> dict[str, Any]:
    return {"experiment": experiment}


RECORDS = {FIRST: record(), SECOND: record("wide"), THIRD: record("wide@flips")}


@pytest.mark.parametrize(
    ("precision", "recall", "hmean"),
    [(0.9709, 0.9599, 0.9653), (0.9712, 0.9584, 0.9619), (0.9667, 0.9599, 0.9625), (0, 0, 0)],
)
def test_scores_that_can_be_are_accepted(precision: float, recall: float, hmean: float) -> None:
    given = {"hmean": hmean, "precision": precision, "recall": recall}
    assert LeaderboardSettings(**given).fractions == given


def test_percentages_are_divided_where_that_is_said() -> None:
    settings = LeaderboardSettings(hmean=96.25, precision=96.67, recall=95.99, percent=True)
    assert settings.fractions == pytest.approx(
        {"hmean": 0.9625, "precision": 0.9667, "recall": 0.9599}
    )
    alone = LeaderboardSettings(hmean=96.25, percent=True).fractions
    assert alone == {"hmean": pytest.approx(0.9625), "precision": None, "recall": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hmean": 96.25}, "hmean must be at most 1, got 96.25; give 0.9625, or add percent=true"),
        ({"recall": 1.01}, "recall must be at most 1, got 1.01; give 0.0101, or add percent=true"),
        ({"hmean": 9625}, "at most 1, got 9625; look at the leaderboard again"),
        ({"hmean": 100.5, "percent": True}, "at most 100, got 100.5; look at the leaderboard"),
        ({"hmean": 0.9625, "percent": True}, "0.9625 is a fraction or below 1 %; give percentages"),
        (
            {"hmean": 96.25, "precision": 0.9667, "percent": True},
            "leaderboard.precision: 0.9667 is a fraction .*, or leave percent out",
        ),
        ({"hmean": 96.25, "precision": 0, "recall": 1, "percent": True}, "recall: 1 is a fraction"),
        ({"hmean": -0.1}, "greater than or equal to 0"),
        ({"precision": float("nan")}, "finite number"),
        ({"recall": float("inf")}, "finite number"),
        ({"score": 0.5}, "Extra inputs"),
        # 2 * 0.9 * 0.8 / 1.7 = 0.84706
        (
            {"hmean": 0.8473, "precision": 0.9, "recall": 0.8},
            "hmean 0.8473 cannot belong to precision 0.9 and recall 0.8, .* is 0.8471",
        ),
        ({"hmean": 84.73, "precision": 90, "recall": 80, "percent": True}, "is 0.8471"),
        ({"hmean": 0.1, "precision": 0, "recall": 0}, "harmonic mean is 0.0000"),
        # 2 * 0.5 * 1 / 1.5: the other is at most 1
        (
            {"hmean": 0.99, "precision": 0.5},
            "hmean 0.99 cannot belong to precision 0.5, with which it is at most 0.6667; look",
        ),
        ({"hmean": 66.69, "recall": 50, "percent": True}, "belong to recall 0.5, with .* 0.6667"),
        ({"hmean": 0.1, "recall": 0}, "to recall 0, with which it is at most 0.0000"),
        ({"submission": 1.2345678e19}, r"read as the number 1.23457e\+19; write the id with its"),
        ({"submission": float("inf")}, "read as the number inf; write the id with its first"),
        ({"submission": True}, "valid string"),
    ],
)
def test_what_no_leaderboard_can_show_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LeaderboardSettings.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"hmean": 0.6667, "precision": 0.5},
        {"hmean": 0.6667, "recall": 0.5},
        {"hmean": 0.9},
        {"precision": 0.5},
        {"hmean": 96.25, "precision": 100, "percent": True},
        {"hmean": 0, "precision": 0, "recall": 40, "percent": True},
        # One page with 0.10004999 and 1, whose H-mean is 0.181900: each number was rounded.
        {"hmean": 0.1819, "precision": 0.1, "recall": 1},
    ],
)
def test_scores_with_one_left_out_or_at_the_bound_are_accepted(given: dict[str, Any]) -> None:
    LeaderboardSettings.model_validate(given)


def test_page_means_of_any_pages_are_accepted_as_they_are_shown() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        # Equal pages reach the bound; different ones stay below it.
        pages = rng.uniform(size=(2, rng.integers(1, 5)))
        precision, recall = pages
        hmean = 2 * precision * recall / (precision + recall)
        shown = [round(float(values.mean()), 4) for values in (hmean, precision, recall)]
        LeaderboardSettings(hmean=shown[0], precision=shown[1], recall=shown[2])


def test_a_score_of_no_submission_asks_which() -> None:
    with pytest.raises(ValueError, match=r"which submission\? add submission=<id> to --params"):
        _ = LeaderboardSettings(hmean=0.9).named
    assert LeaderboardSettings(submission=FIRST).named == FIRST


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (FIRST, FIRST),
        (FIRST[1:], FIRST),
        ("01234567", FIRST),
        ("s01234567", FIRST),
        ("sfedc", THIRD),
        (f"submission_{SECOND}.csv", SECOND),
        (f"/home/me/downloads {FIRST}/submission_{SECOND} (1).csv", SECOND),
    ],
)
def test_a_submission_is_found_by_id_beginning_and_file_name(reference: str, found: str) -> None:
    assert find_submission(reference, RECORDS) == found


@pytest.mark.parametrize(
    "reference",
    [
        "s01234",
        "01234",
        "fed",
        "sfed",
        "",
        "submission.csv",
        "s000000000000",
        "submission_s000000000000.csv",
    ],
)
def test_what_fits_nothing_or_several_lists_what_there_is(reference: str) -> None:
    listed = rf"there are: {FIRST} \(lite0\), {SECOND} \(wide\), {THIRD} \(wide@flips\)"
    with pytest.raises(ValueError, match=f"no submission '{reference}'; {listed}"):
        find_submission(reference, RECORDS)


def test_where_nothing_was_submitted_yet_the_way_there_is_named() -> None:
    with pytest.raises(ValueError, match=f"no submission '{FIRST}'; there is none yet: run"):
        find_submission(FIRST, {})


def test_an_id_of_digits_alone_is_found_however_it_was_typed() -> None:
    records = {"s123456789012": record(), SECOND: {}}
    for typed in (123456789012, "123456789012", "s123456789012"):
        named = LeaderboardSettings.model_validate({"submission": typed}).named
        assert find_submission(named, records) == "s123456789012"
    with pytest.raises(ValueError, match=rf"{SECOND} \(unknown\)$"):
        find_submission("7", records)


def member(name: str, run_id: str | None, fold: int | None = 0) -> dict[str, Any]:
    return {"name": name, "experiment": "lite0", "fold": fold, "weight": 0.5, "run_id": run_id}


SCORES = pd.DataFrame(
    [
        ("fold_0", "out_of_fold", 0.90),
        ("fold_0", "holdout", 0.91),
        ("fold_1", "out_of_fold", 0.94),
        ("fold_1", "holdout", np.nan),
        ("wide/fold_0", "out_of_fold", 0.10),  # does not vote
        ("ensemble", "holdout", 0.95),
    ],
    columns=["member", "subset", "hmean"],
)
CHOSEN = {"source": "tuned", "postprocess": {"thresh": 0.3}}


def describe(scores: pd.DataFrame | None, names: tuple[str, ...]) -> dict[str, Any]:
    members = [member(name, f"run of {name}", fold) for fold, name in enumerate(names)]
    return describe_submission(FIRST, "lite0", members, CHOSEN, scores)


def test_a_submission_knows_what_was_known_of_its_members() -> None:
    found = describe(SCORES, ("fold_0", "fold_1"))
    assert found["validation_hmean"] == pytest.approx((0.90 + 0.94) / 2)
    assert (found["holdout_hmean"], found["test_hmean"]) == (0.95, None)
    assert (found["thresholds"], found["postprocess"]) == ("tuned", {"thresh": 0.3})
    assert (found["submission"], found["experiment"]) == (FIRST, "lite0")
    assert found["members"] == [
        member("fold_0", "run of fold_0") | {"validation_hmean": 0.90, "holdout_hmean": 0.91},
        member("fold_1", "run of fold_1", 1) | {"validation_hmean": 0.94, "holdout_hmean": None},
    ]


@pytest.mark.parametrize("scores", [None, SCORES.iloc[:0]])
def test_where_nothing_was_scored_nothing_is_claimed(scores: pd.DataFrame | None) -> None:
    found = describe(scores, ("final",))
    for known in (found, found["members"][0]):
        assert (known["validation_hmean"], known["holdout_hmean"]) == (None, None)
    scored = score_record(LeaderboardSettings(hmean=0.9), found, "leaderboard")
    assert (scored["gap"], scored["holdout_gap"]) == (None, None)
    ((run, figures),) = list_figures(scored)
    assert (run, figures) == ("run of final", {"leaderboard_hmean": 0.9})


def test_gaps_are_negative_where_the_leaderboard_says_less() -> None:
    known = {"validation_hmean": 0.97, "holdout_hmean": 0.96}
    assert compute_gaps(0.965, known) == pytest.approx({"gap": -0.005, "holdout_gap": 0.005})
    assert compute_gaps(None, known) == {"gap": None, "holdout_gap": None}
    half = {"validation_hmean": 0.0, "holdout_hmean": None}
    assert compute_gaps(0.965, half) == {"gap": 0.965, "holdout_gap": None}


def test_a_score_reaches_the_run_of_every_member_with_its_own_gap() -> None:
    settings = LeaderboardSettings(hmean=93.0, precision=94.0, recall=93.0, percent=True)
    scored = score_record(settings, describe(SCORES, ("fold_0", "fold_1")), "leaderboard")
    assert (scored["submission"], scored["experiment"]) == (FIRST, "lite0")
    assert (scored["source"], scored["hmean"]) == ("leaderboard", 0.93)
    assert scored["gap"] == pytest.approx(0.93 - 0.92)
    assert scored["holdout_gap"] == pytest.approx(0.93 - 0.95)
    common = {"leaderboard_hmean": 0.93, "leaderboard_precision": 0.94, "leaderboard_recall": 0.93}
    found = dict(list_figures(scored))
    assert list(found) == ["run of fold_0", "run of fold_1"]
    assert found["run of fold_0"] == pytest.approx(common | {"gap": 0.03, "holdout_gap": 0.02})
    assert found["run of fold_1"] == pytest.approx(common | {"gap": -0.01})


def test_figures_of_pages_seen_in_another_way_bear_its_name() -> None:
    known = {"validation_hmean": 0.5, "holdout_hmean": None}
    names = ("fold_0", "lite0@flips/fold_1", "wide/fold_2", "lite0@rotations/fold_3")
    members = [{"name": name, "run_id": f"run of {name}", **known} for name in names]
    submission = {"submission": FIRST, "experiment": "lite0@flips", "members": members, **known}
    scored = score_record(LeaderboardSettings(hmean=0.75), submission, "leaderboard")
    own = {"flips/leaderboard_hmean": 0.75, "flips/gap": 0.25}
    rotated = {"rotations/leaderboard_hmean": 0.75, "rotations/gap": 0.25}
    plain = {"leaderboard_hmean": 0.75, "gap": 0.25}
    expected = dict(zip(names, (own, own, plain, rotated), strict=True))
    assert dict(list_figures(scored)) == {f"run of {n}": f for n, f in expected.items()}
    truth = score_record(LeaderboardSettings(hmean=0.75), submission, "test truth")
    assert next(list_figures(truth))[1] == {"flips/truth_hmean": 0.75, "flips/truth_gap": 0.25}


# ---- damaged records -----------------------------------------------------------------------------

SOUND = {"made": "2026-01-02T03:04:05Z"} | describe(SCORES, ("fold_0", "fold_1"))


def without(*keys: str, **changed: object) -> dict[str, Any]:
    return {key: value for key, value in (SOUND | changed).items() if key not in keys}


@pytest.mark.parametrize(
    ("damaged", "lacking"),
    [
        ({}, "made, submission, experiment, members, validation_hmean, holdout_hmean"),
        (without("made", "experiment"), "made, experiment"),
        (without(submission=None, members={"name": "fold_0"}), "submission, members"),
        (without(holdout_hmean="0.96", validation_hmean=float("nan")), "validation_.*, holdout_.*"),
        (without(members=[SOUND["members"][0], "fold_1"]), r"members\[1\]\.name, .*holdout_hmean"),
        (
            without(members=[{"name": "fold_0", "run_id": None, "holdout_hmean": None}]),
            r"members\[0\]\.validation_hmean",
        ),
    ],
)
def test_a_submission_that_lacks_a_key_is_told_apart(damaged: dict[str, Any], lacking: str) -> None:
    unknown = without(validation_hmean=None, holdout_hmean=None)
    records = {FIRST: SOUND, SECOND: damaged, THIRD: unknown}
    sound, faults = part_records(records, SUBMISSION_KEYS)
    assert sound == {FIRST: SOUND, THIRD: unknown}
    assert list(faults) == [SECOND]
    assert re.fullmatch(lacking, faults[SECOND])


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({"hmean": None}, "hmean"),
        ({"hmean": "0.93"}, "hmean"),
        ({"hmean": float("nan")}, "hmean"),
        ({"hmean": True, "source": None}, "source, hmean"),
        ({"experiment": 7}, "experiment"),
    ],
)
def test_a_score_that_lacks_a_key_is_told_apart(changed: dict[str, Any], lacking: str) -> None:
    scored = score_record(LeaderboardSettings(hmean=0.93), SOUND, "leaderboard")
    records = {FIRST: scored, SECOND: scored | changed}
    assert part_records(records, SCORE_KEYS) == ({FIRST: scored}, {SECOND: lacking})


def test_what_makes_a_submission_again_follows_from_its_record() -> None:
    made_with = ", with the settings that it was made with"
    assert describe_making(SOUND) == (
        f"--pipeline=ensemble --params experiment=lite0,members=fold_0+fold_1{made_with}"
    )
    members = [{"name": "wide/fold_3"}]
    assert describe_making({"experiment": "lite0@flips", "members": members}) == (
        f"--pipeline=ensemble --params experiment=lite0,tta=flips,members=wide/fold_3{made_with}"
    )
    assert describe_making({"experiment": "lite0", "members": [{"name": "final"}]}) == (
        f"--pipeline=final_fit --params experiment=lite0{made_with}"
    )
    assert describe_making({"members": 7}) == f"--pipeline=ensemble{made_with}"


def test_only_the_record_that_is_meant_must_be_sound() -> None:
    records = Records({FIRST: SOUND, SECOND: {}}, {"runs/s7.json": "is no JSON (cut off)"})
    assert nodes.find_submission(LeaderboardSettings(submission=FIRST), records) == FIRST
    with pytest.raises(ValueError, match=f"submissions/{SECOND}.json lacks made, .*: --pipeline="):
        nodes.find_submission(LeaderboardSettings(submission=SECOND), records)
    with pytest.raises(ValueError, match=r"no submission 's7'; .*\nruns/s7.json is no JSON \(cut"):
        nodes.find_submission(LeaderboardSettings(submission="s7"), records)


@pytest.mark.parametrize(
    "content",
    [{"images": []}, [], {}, {"images": {"a": []}}, {"images": {"a": {"words": {"1": {}}}}}, 7,
     {"images": {"a": {"words": []}}}, {"images": {"a": {"words": {"1": {"points": [1]}}}}}],
)  # fmt: skip
def test_a_json_that_is_no_submission_says_what_one_holds(content: object, tmp_path: Path) -> None:
    file = tmp_path / "submission.JSON"
    file.write_text(json.dumps(content), encoding="utf-8")
    message = r'submission.JSON is no submission \(it must be {"images": .*\); give its CSV or JSON'
    with pytest.raises(ValueError, match=message):
        nodes.find_submission(LeaderboardSettings(submission=str(file)), {FIRST: SOUND})


def test_a_submission_whose_copy_is_gone_names_the_file_and_what_makes_it() -> None:
    pages = pd.DataFrame({"page": ["a.png"], "subset": ["test"], "has_truth": [True]})
    words = pd.DataFrame({"page": ["a.png"], "subset": ["test"], "ignored": [False],
                          "polygon": [[0.0, 0, 40, 0, 40, 10, 0, 10]]})  # fmt: skip
    message = f"submissions/submission_{FIRST}.csv is gone; put it back, or .*members=fold_0.fold_1"
    with pytest.raises(ValueError, match=message):
        nodes.score_submission(
            FIRST, {"submission_other": pd.DataFrame}, {FIRST: SOUND}, pages, words
        )
