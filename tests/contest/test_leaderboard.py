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
    describe_making,
    describe_members,
    describe_submission,
    find_id,
    list_figures,
    score_copy,
    score_record,
)
from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.contest.submission import read_submission
from receipt_ocr.datasets.records import Records
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.pipelines.leaderboard import nodes
from receipt_ocr.records import (
    FINAL,
    ChosenPostprocess,
    LeaderboardScore,
    Record,
    SubmissionMember,
    SubmissionRecord,
    Voting,
)

FIRST, SECOND, THIRD = "s0123456789ab", "s0123499999ff", "sfedcba987654"


def test_percentages_are_divided_where_that_is_said() -> None:
    settings = LeaderboardSettings(hmean=96.25, precision=96.67, percent=True)
    fractions = {"hmean": 0.9625, "precision": 0.9667, "recall": None}
    assert settings.fractions == pytest.approx(fractions)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hmean": 96.25}, "hmean must be at most 1, got 96.25; give 0.9625, or add percent=true"),
        ({"hmean": 100.5, "percent": True}, "at most 100, got 100.5; look at the leaderboard"),
        ({"hmean": 0.9625, "percent": True}, "0.9625 is a fraction or below 1 %; give percentages"),
        (
            {"hmean": 96.25, "precision": 0.9667, "percent": True},
            "leaderboard.precision: 0.9667 is a fraction .*, or leave percent out",
        ),
        ({"hmean": 96.25, "precision": 0, "recall": 1, "percent": True}, "recall: 1 is a fraction"),
        ({"hmean": -0.1}, "greater than or equal to 0"),
        ({"precision": float("nan")}, "finite number"),
        ({"score": 0.5}, "Extra inputs"),
        # 2 * 0.9 * 0.8 / 1.7 = 0.84706
        (
            {"hmean": 0.8473, "precision": 0.9, "recall": 0.8},
            "hmean 0.8473 cannot belong to precision 0.9 and recall 0.8, .* is 0.8471",
        ),
        ({"hmean": 0.1, "precision": 0, "recall": 0}, "harmonic mean is 0.0000"),
        # 2 * 0.5 * 1 / 1.5: the other is at most 1
        (
            {"hmean": 0.99, "precision": 0.5},
            "hmean 0.99 cannot belong to precision 0.5, with which it is at most 0.6667; look",
        ),
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
        {"hmean": 0.9653, "precision": 0.9709, "recall": 0.9599},
        {"hmean": 0, "precision": 0, "recall": 0},
        {"hmean": 0.6667, "precision": 0.5},
        {"hmean": 0.6667, "recall": 0.5},
        {"hmean": 0.9},
        {"precision": 0.5},
        {"hmean": 0, "precision": 100, "recall": 40, "percent": True},
        # One page with 0.10004999 and 1, whose H-mean is 0.181900: each number was rounded.
        {"hmean": 0.1819, "precision": 0.1, "recall": 1},
    ],
)
def test_scores_that_can_be_are_accepted(given: dict[str, Any]) -> None:
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


# ---- submissions: described, found, made again ---------------------------------------------------

SCORES = pd.DataFrame(
    [
        ("fold_0", "out_of_fold", 0.90),
        ("fold_0", "holdout", 0.91),
        ("lite0@flips/fold_1", "out_of_fold", 0.94),
        ("lite0@flips/fold_1", "holdout", np.nan),
        ("wide/fold_0", "out_of_fold", 0.10),  # does not vote
        ("ensemble", "holdout", 0.95),
    ],
    columns=["member", "subset", "hmean"],
)
NAMES = ("fold_0", "lite0@flips/fold_1")
CHOSEN = ChosenPostprocess(
    source="tuned",
    postprocess=PostprocessSettings(thresh=0.3),
    members=Voting(names=NAMES, weights=(0.75, 0.25), sources={"fold_0": "a"}, mean="logit"),
)


def describe(
    scores: pd.DataFrame = SCORES, experiment: str = "lite0", submission: str = FIRST
) -> SubmissionRecord:
    members = describe_members(CHOSEN, experiment, lambda name, k: f"run of {name} {k}", scores)
    return describe_submission(submission, experiment, members, CHOSEN, scores)


RECORD = describe()
FINAL_RECORD = describe_submission(
    FIRST, "lite0", [SubmissionMember.final("lite0", "run of final")], CHOSEN, None
)
RECORDS = {
    FIRST: RECORD,
    SECOND: describe(experiment="wide"),
    THIRD: describe(experiment="wide@flips"),
}


def test_a_submission_knows_what_was_known_of_its_members() -> None:
    assert RECORD.validation_hmean == pytest.approx((0.90 + 0.94) / 2)
    assert (RECORD.holdout_hmean, RECORD.test_hmean) == (0.95, None)
    assert (RECORD.kind, RECORD.thresholds, RECORD.mean) == ("ensemble", "tuned", "logit")
    assert (RECORD.postprocess, RECORD.sources) == (CHOSEN.postprocess, {"fold_0": "a"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", RECORD.made)
    assert RECORD.members == (
        SubmissionMember(name="fold_0", experiment="lite0", fold=0, weight=0.75,
                         run_id="run of lite0 0", validation_hmean=0.90, holdout_hmean=0.91),
        SubmissionMember(name="lite0@flips/fold_1", experiment="lite0@flips", fold=1, weight=0.25,
                         run_id="run of lite0@flips 1", validation_hmean=0.94, holdout_hmean=None),
    )  # fmt: skip


@pytest.mark.parametrize("unscored", [FINAL_RECORD, describe(SCORES.iloc[:0])])
def test_where_nothing_was_scored_nothing_is_claimed(unscored: SubmissionRecord) -> None:
    assert (unscored.validation_hmean, unscored.holdout_hmean) == (None, None)
    for member in unscored.members:
        assert (member.validation_hmean, member.holdout_hmean) == (None, None)
    scored = score_record(LeaderboardSettings(hmean=0.9), unscored, "leaderboard")
    assert (scored.gap, scored.holdout_gap) == (None, None)


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
    assert find_id(reference, RECORDS) == found


@pytest.mark.parametrize(
    "reference",
    ["s01234", "01234", "fed", "sfed", "", "submission.csv", "submission_s000000000000.csv"],
)
def test_what_fits_nothing_or_several_lists_what_there_is(reference: str) -> None:
    listed = rf"there are: {FIRST} \(lite0\), {SECOND} \(wide\), {THIRD} \(wide@flips\)$"
    with pytest.raises(ValueError, match=f"no submission '{reference}'; {listed}"):
        find_id(reference, RECORDS)
    with pytest.raises(ValueError, match=f"no submission '{reference}'; there is none yet: run"):
        find_id(reference, {})


def test_an_id_of_digits_alone_is_found_however_it_was_typed() -> None:
    records = {"s123456789012": RECORD, SECOND: RECORD}
    for typed in (123456789012, "123456789012", "s123456789012"):
        named = LeaderboardSettings.model_validate({"submission": typed}).named
        assert find_id(named, records) == "s123456789012"


def test_a_damaged_record_that_is_meant_is_named_and_one_that_is_not_costs_nothing() -> None:
    fault = {f"submissions/{SECOND}.json": "lacks made; mend or delete it"}
    records = Records({FIRST: RECORD}, fault)
    assert nodes.find_submission(LeaderboardSettings(submission=FIRST), records) == FIRST
    for meant in (SECOND, "s01234999", "sfedc"):  # the last is none of the two
        with pytest.raises(ValueError, match=rf"\(lite0\)\nsubmissions/{SECOND}.json lacks made;"):
            nodes.find_submission(LeaderboardSettings(submission=meant), records)
    with pytest.raises(ValueError, match="no submission 's01234'"):  # either of the two
        nodes.find_submission(LeaderboardSettings(submission="s01234"), records)


def test_what_makes_a_submission_again_follows_from_its_record() -> None:
    made_with = ", with the settings that it was made with"
    voting = "experiment=wide,tta=flips,members=fold_0+lite0@flips/fold_1"
    assert describe_making(RECORDS[THIRD]) == f"--pipeline=ensemble --params {voting}{made_with}"
    final = describe_making(FINAL_RECORD)
    assert final == f"--pipeline=final_fit --params experiment=lite0{made_with}"


@pytest.mark.parametrize(
    "content",
    [{"images": []}, [], {}, {"images": {"a": []}}, {"images": {"a": {"words": {"1": {}}}}}, 7,
     {"images": {"a": {"words": []}}}, {"images": {"a": {"words": {"1": {"points": [1]}}}}}],
)  # fmt: skip
def test_a_json_that_is_no_submission_says_what_one_holds(content: object, tmp_path: Path) -> None:
    file = tmp_path / "submission.JSON"
    file.write_text(json.dumps(content), encoding="utf-8")
    message = r'submission.JSON is no submission \(.*\); give its CSV or JSON, .* {"images": {page'
    with pytest.raises(ValueError, match=message):
        read_submission(file)


def test_a_submission_whose_copy_is_gone_names_the_file_and_what_makes_it() -> None:
    truths: Any = {"a.png": "its words"}
    message = rf"submission_{FIRST}\.csv is gone .*; put it back, or .*members=fold_0.lite0@flips"
    with pytest.raises(ValueError, match=message):
        score_copy(RECORD, {"submission_other": pd.DataFrame}, truths)
    with pytest.raises(ValueError, match="the truth of the test pages is withheld"):
        score_copy(RECORD, {f"submission_{FIRST}": pd.DataFrame}, {})


# ---- scores of a submission, and how far they are from what was known ----------------------------


def test_a_score_reaches_the_run_of_every_member_with_its_own_gap() -> None:
    settings = LeaderboardSettings(hmean=93.0, precision=94.0, recall=93.0, percent=True)
    scored = score_record(settings, RECORD, "leaderboard")
    assert (scored.submission, scored.experiment, scored.name) == (FIRST, "lite0", FIRST)
    assert (scored.source, scored.hmean) == ("leaderboard", 0.93)
    assert scored.gap == pytest.approx(0.93 - 0.92)  # negative where the leaderboard says less
    assert scored.holdout_gap == pytest.approx(0.93 - 0.95)
    common = {"leaderboard_hmean": 0.93, "leaderboard_precision": 0.94, "leaderboard_recall": 0.93}
    found = dict(list_figures(scored))
    assert list(found) == ["run of lite0 0", "run of lite0@flips 1"]
    assert found["run of lite0 0"] == pytest.approx(common | {"gap": 0.03, "holdout_gap": 0.02})


@pytest.mark.parametrize(
    ("member", "prefix"),
    [
        ("fold_0", "flips/"),
        ("lite0@turn/fold_3", "turn/"),
        ("wide/fold_2", ""),
        (FINAL, "flips/"),
    ],
)
def test_figures_under_a_tta_view_bear_its_name(member: str, prefix: str) -> None:
    known = {"validation_hmean": 0.5, "holdout_hmean": None}
    voter = SubmissionMember(name=member, run_id="run", **known)
    made = RECORD.model_copy(update={"experiment": "lite0@flips", "members": (voter,), **known})
    told = score_record(LeaderboardSettings(hmean=0.75), made, "leaderboard")
    expected = {f"{prefix}leaderboard_hmean": 0.75, f"{prefix}gap": 0.25}
    assert list(list_figures(told)) == [("run", expected)]
    truth = score_record(LeaderboardSettings(hmean=0.75), made, "test truth")
    expected = {f"{prefix}truth_hmean": 0.75, f"{prefix}truth_gap": 0.25}
    assert list(list_figures(truth)) == [("run", expected)]
    assert truth.name == f"{FIRST}_truth"


def test_a_submission_without_a_score_asks_for_it() -> None:
    with pytest.raises(ValueError, match=r"which score\? add hmean=0.9625,"):
        score_record(LeaderboardSettings(submission=FIRST), RECORD, "leaderboard")


# ---- records on disk -----------------------------------------------------------------------------

SCORED = score_record(LeaderboardSettings(hmean=0.93), RECORD, "leaderboard")


def read(record: SubmissionRecord | LeaderboardScore, *without: str, **changed: Any) -> Record:
    """The record as it is read from a file that was damaged."""
    content = record.model_dump(mode="json") | changed
    damaged = {key: value for key, value in content.items() if key not in without}
    return type(record).model_validate_json(json.dumps(damaged), strict=True)


@pytest.mark.parametrize(
    ("record", "changed", "key"),
    [
        (RECORD, {"submission": None}, "submission"),
        (RECORD, {"holdout_hmean": "0.96"}, "holdout_hmean"),
        (RECORD, {"members": ["fold_1"]}, "members.0"),
        (RECORD, {"members": [{"name": "a", "run_id": None, "holdout_hmean": None}]},
         "members.0.validation_hmean"),
        (SCORED, {"hmean": None}, "hmean"),
        (SCORED, {"hmean": float("nan")}, "hmean"),
        (SCORED, {"hmean": True}, "hmean"),
        (SCORED, {"source": "hearsay"}, "source"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused_by_the_name_of_the_key(
    record: SubmissionRecord | LeaderboardScore, changed: dict[str, Any], key: str
) -> None:
    with pytest.raises(ValidationError, match=rf"\n{key}\n"):
        read(record, **changed)


def test_records_of_earlier_versions_are_read() -> None:
    member = {"name": "fold_0", "run_id": None, "validation_hmean": 0.9, "holdout_hmean": None}
    old = read(RECORD, "kind", "sources", "mean", "postprocess", members=[member])
    assert isinstance(old, SubmissionRecord)
    assert (old.kind, old.sources, old.mean) == ("ensemble", None, None)
    assert describe_making(old).startswith("--pipeline=ensemble --params experiment=lite0,members=")
