"""The report's numbers by hand, its words, and what it says where something is missing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.scores import tabulate_pages, tabulate_scores
from receipt_ocr.analysis.tables import (
    choose_pages,
    compare_members,
    find_grid_edges,
    judging_subset,
    list_worst_pages,
    tabulate_errors,
    tabulate_folds,
)
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.evaluation.cleval import PageScore
from receipt_ocr.report.markdown import NOTHING
from receipt_ocr.report.report import Results, write_report
from tests.report.report_reader import read_commands

POSTPROCESS = {"thresh": 0.29, "box_thresh": 0.25, "unclip_ratio": 2.0, "max_candidates": 600}
TUNED = {
    "postprocess": POSTPROCESS | {"thresh": 0.1},
    "chosen_hmean": 0.91,
    "honest_hmean": 0.905,
    "recipe_hmean": 0.89,
    "members": ["fold_0", "fold_1"],
    "pages": 6,
}
GRID = pd.DataFrame(
    {"thresh": [0.1, 0.2, 0.29], "box_thresh": 0.25, "unclip_ratio": [1.5, 2.0, 2.5]}
).assign(max_candidates=600, hmean=0.9)


def score(found: int, of: int = 100, **errors: Any) -> PageScore:
    """A page with H-mean ``found / of`` (recall and precision are equal)."""
    return PageScore(of, of, found, 0, 0, 0, **errors)


def score_rows(test: bool = True, holdout: bool = True, members: int = 2) -> pd.DataFrame:
    """Three pages a member and subset; each fold finds 90, the ensemble 95 of 100 characters."""
    out_of_fold, voted = [], []
    for fold in range(members):
        own = {f"train_{fold}_{i}": score(92 + fold + i) for i in range(3)}
        out_of_fold.append(tabulate_pages(f"fold_{fold}", "out_of_fold", own))
        for subset, has_truth in (("holdout", holdout), ("test", test)):
            pages = {f"{subset}_{i}": score(88 + 2 * fold + i, missed=(0, 1)) for i in range(3)}
            voted.append(tabulate_pages(f"fold_{fold}", subset, pages if has_truth else {}))
    for subset, has_truth in (("holdout", holdout), ("test", test)):
        pages = {f"{subset}_{i}": score(95 + i, missed=(0,)) for i in range(3)}
        voted.append(tabulate_pages("ensemble", subset, pages if has_truth else {}))
    return pd.concat([*out_of_fold, *voted], ignore_index=True)


def history(*hmeans: float) -> pd.DataFrame:
    rows = len(hmeans)
    return pd.DataFrame(
        {"epoch": np.arange(rows, dtype=float), "hmean": hmeans, "precision": 0.9, "recall": 0.9}
    ).assign(loss=np.linspace(3, 1, rows), size=np.where(np.arange(rows) < 1, 640.0, 960.0))


def chosen(source: str = "recipe", weights: tuple[float, ...] = (0.5, 0.5)) -> dict[str, Any]:
    postprocess = POSTPROCESS if source == "recipe" else TUNED["postprocess"]
    names = [f"fold_{fold}" for fold in range(len(weights))]
    voting = {"names": names, "weights": list(weights), "mean": "probability"}
    return {"source": source, "postprocess": postprocess, "members": voting}


def make_results(page_scores: pd.DataFrame | None = None, **changes: Any) -> Results:
    page_scores = score_rows() if page_scores is None else page_scores
    pages = pd.DataFrame(
        [(f"{s}_{i}", s, 10, True) for s in ("train", "holdout", "test") for i in range(3)],
        columns=["page", "subset", "word_count", "has_truth"],
    )
    results = Results(
        experiment="tiny",
        dataset="01_raw/receipts",
        recipe={
            "network": {"encoder": "lite0"},
            "frame": {"sizes": [{"epoch": 0, "size": 640}, {"epoch": 4, "size": 960}]},
        },
        histories={"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.8)},
        scores=tabulate_scores(page_scores),
        page_scores=page_scores,
        chosen_postprocess=chosen(),
        pages=pages,
        rejected=pd.DataFrame(columns=["subset", "page", "word", "reason", "detail"]),
    )
    return replace(results, **changes)


class TestTables:
    def test_folds_stand_above_their_mean_their_spread_and_the_ensemble(self) -> None:
        results = make_results()
        table = tabulate_folds(results.scores, results.histories)
        assert list(table.index) == [
            "fold_0",
            "fold_1",
            "mean of folds",
            "standard deviation",
            "ensemble",
        ]
        # fold 0 out of fold: (92 + 93 + 94) / 3; test: (88 + 89 + 90) / 3
        first = table.loc["fold_0"]
        assert first["pages"] == 3
        assert (first["best_epoch"], first["epochs"]) == (1, 3)  # the first of two equal epochs
        assert first["hmean"] == pytest.approx(0.93)
        assert first["holdout_hmean"] == pytest.approx(0.89)
        assert first["gap"] == pytest.approx(-0.04)
        # fold 1: 0.94 and 0.91, so gaps are -0.04 and -0.03
        assert table.loc["mean of folds", "gap"] == pytest.approx(-0.035)
        assert table.loc["standard deviation", "hmean"] == pytest.approx(0.01 / np.sqrt(2))
        assert table.loc["ensemble", "test_hmean"] == pytest.approx(0.96)
        assert np.isnan(table.loc["ensemble", "hmean"])

    def test_the_ensemble_is_compared_with_the_best_the_mean_and_each(self) -> None:
        table = compare_members(score_rows(), "test")
        assert table["opponent"].tolist() == ["best fold, fold_1", "mean fold", "fold_0", "fold_1"]
        # 0.96 against 0.91, 0.90, 0.89, 0.91, by the same amount on every page
        assert table["difference"].tolist() == pytest.approx([0.05, 0.06, 0.07, 0.05])
        assert table["low"].tolist() == pytest.approx([0.05, 0.06, 0.07, 0.05])
        assert set(table["verdict"]) == {"better"}

    def test_one_member_or_one_page_is_nothing_to_compare(self) -> None:
        assert compare_members(score_rows(members=1), "test").empty
        rows = score_rows()
        assert compare_members(rows[rows["page"] == "test_0"], "test").empty

    def test_the_ensemble_is_judged_on_test_else_on_holdout(self) -> None:
        assert judging_subset(score_rows()) == "test"
        assert judging_subset(score_rows(test=False)) == "holdout"
        assert judging_subset(score_rows(test=False, holdout=False)) is None

    def test_errors_are_summed_by_member_and_subset(self) -> None:
        table = tabulate_errors(score_rows()).set_index(["member", "subset"])
        assert table.loc[("fold_1", "test")].tolist() == [3, 6, 0, 0, 0]
        assert table.loc[("ensemble", "test")].tolist() == [3, 3, 0, 0, 0]
        assert table.loc[("fold_0", "out_of_fold")].tolist() == [3, 0, 0, 0, 0]

    def test_worst_pages_come_first_and_blank_ones_not_at_all(self) -> None:
        blank = tabulate_pages("ensemble", "test", {"test_9": score(0, of=0)})
        worst = list_worst_pages(pd.concat([score_rows(), blank]), "test", count=2)
        assert worst["page"].tolist() == ["test_0", "test_1"]

    def test_pages_to_look_at_reach_from_the_worst_to_the_best(self) -> None:
        scores = {f"p{i:02d}": score(99 - i) for i in range(11)}
        rows = tabulate_pages("ensemble", "test", scores)
        chosen = choose_pages(rows, pd.DataFrame(columns=["page", "subset"]))
        assert chosen == ["p10", "p08", "p06", "p04", "p02", "p00"]

    def test_without_truth_pages_are_chosen_by_their_place(self) -> None:
        pages = pd.DataFrame({"page": ["t", "x", "y"], "subset": ["train", "test", "test"]})
        assert choose_pages(score_rows(test=False), pages) == ["x", "y"]

    def test_only_the_ends_of_what_was_tried_are_edges(self) -> None:
        assert find_grid_edges(GRID, TUNED["postprocess"]) == {"thresh": "lowest"}
        inside = POSTPROCESS | {"thresh": 0.2, "unclip_ratio": 2.5}
        assert find_grid_edges(GRID, inside) == {"unclip_ratio": "highest"}


class TestReport:
    def test_the_title_and_the_summary_say_what_was_reached(self) -> None:
        text = write_report(make_results())
        assert text.startswith("# tiny on 01_raw/receipts\n\n")
        summary = text.split("\n\n")[1]
        assert summary.startswith(
            "The ensemble of folds 0 and 1 scores a page-mean H-mean of 0.9600 on the 3 test pages"
        )
        assert "its members alone score 0.8900 to 0.9100." in summary
        assert "it is better than the best fold, fold_1 (+0.0500)" in summary
        assert "The score to trust is the holdout's, 0.9600" in summary
        assert "lies on average 0.0350 below the out-of-fold one" in summary
        assert "folds 2, 3 and 4 do not vote" in summary
        assert "fewer than 30 pages" in summary

    def test_equal_scores_out_of_fold_and_on_test_are_called_equal(self) -> None:
        own = tabulate_pages("fold_0", "out_of_fold", {"a": score(95), "b": score(97)})
        test = {"x": score(95), "y": score(97)}
        voted = [tabulate_pages(member, "test", test) for member in ("fold_0", "ensemble")]
        histories = {"fold_0": history(0.1, 0.9)}
        text = write_report(make_results(pd.concat([own, *voted]), histories=histories))
        assert "The fold's test and out-of-fold scores do not differ." in text

    def test_the_table_of_folds_shows_the_ensemble_beside_them(self) -> None:
        text = write_report(make_results())
        fold = "| fold_0 | 3 | 1 | 3 | 0.9300 | 0.9300 | 0.9300 | 0.8900 | 0.8900 | -0.0400 |"
        ensemble = "| ensemble | – | – | – | – | – | – | 0.9600 | 0.9600 | – |"  # noqa: RUF001
        assert fold in text
        assert ensemble in text
        assert "*Source: `scores`, `fold_0_history`, `fold_1_history`.*" in text

    def test_every_table_names_its_source(self) -> None:
        results = make_results(tuned_postprocess=TUNED, tuning_table=GRID)
        sections = write_report(results).split("\n## ")[1:]
        with_table = [section for section in sections if "\n| :---" in section]
        assert len(with_table) == 12
        for section in with_table:
            assert section.count("*Source: `") >= 1, section

    def test_pictures_are_named_by_their_path(self) -> None:
        pictures = {"gallery": ("Six pages", "gallery.jpg"), "search": ("A map", "a/search.png")}
        text = write_report(make_results(), pictures)
        assert "![Six pages](gallery.jpg)\n\n*Six pages*\n" in text
        assert text.index("![A map](a/search.png)") < text.index("![Six pages]")
        assert text.count("![") == 2

    def test_the_worst_pages_are_shown_below_the_words_that_are_lost(self) -> None:
        text = write_report(make_results(), {"worst_pages": ("The worst", "worst_pages.jpg")})
        places = ["## Which words are lost", "](worst_pages.jpg)", "## Errors"]
        assert [text.index(place) for place in places] == sorted(map(text.index, places))

    def test_a_look_at_the_pages_is_repeated_with_what_was_trained_once(self) -> None:
        command = "kedro run --env=demo"
        text = write_report(make_results(experiment="tiny@flip", command=command))
        assert read_commands(text) == [
            f"{command} --pipeline=ingestion",
            f"{command} --pipeline=splitting",
            f"{command} --pipeline=train_fold --params fold=0,experiment=tiny",
            f"{command} --pipeline=predict_fold --params fold=0,experiment=tiny,tta=flip",
            f"{command} --pipeline=train_fold --params fold=1,experiment=tiny",
            f"{command} --pipeline=predict_fold --params fold=1,experiment=tiny,tta=flip",
            f"{command} --pipeline=ensemble --params members=0+1,experiment=tiny,tta=flip",
            f"{command} --pipeline=reporting --params members=0+1,experiment=tiny,tta=flip",
        ]

    def test_members_of_other_experiments_are_trained_as_they_look(self) -> None:
        histories = {"fold_1": history(0.1, 0.9), "wide@flip/fold_3": history(0.2, 0.8)}
        commands = read_commands(write_report(make_results(histories=histories)))
        assert commands[2:5] == [
            "kedro run --pipeline=train_fold --params fold=1,experiment=tiny",
            "kedro run --pipeline=train_fold --params fold=3,experiment=wide",
            "kedro run --pipeline=predict_fold --params fold=3,experiment=wide,tta=flip",
        ]
        members = commands[5].partition("members=")[2].partition(",")[0]
        voters = EnsembleSettings.model_validate({"members": members}).voters
        assert [member.name for member in voters] == list(histories)

    def test_settings_are_flat_and_complete(self) -> None:
        text = write_report(make_results(chosen_postprocess=chosen(weights=(0.25, 0.75))))
        assert "| network.encoder | lite0 |" in text
        assert "| frame.sizes | epoch 0, size 640; epoch 4, size 960 |" in text
        assert "| ensemble.mean | probability |" in text
        assert "| weight of fold_1 | 0.7500 |" in text

    def test_tuning_is_told_with_its_honest_score_and_its_edges(self) -> None:
        results = make_results(
            score_rows(holdout=False),
            chosen_postprocess=chosen("tuned"),
            tuned_postprocess=TUNED,
            tuning_table=GRID,
        )
        text = write_report(results)
        assert "are found by tuning" in text
        assert "| at the recipe's settings | 0.8900 |" in text
        assert "| at the best point of the grid | 0.9100 |" in text
        assert "(honest) | 0.9050 |" in text
        assert "thresh = 0.1 is the lowest tried" in text
        assert "and the thresholds; the thresholds flatter it by 0.0050" in text
        assert "run tuning again" not in text
        assert "kedro run --pipeline=tuning --params members=0+1,experiment=tiny" in text

    def test_a_best_point_inside_the_grid_gives_no_advice(self) -> None:
        inside = TUNED | {"postprocess": POSTPROCESS | {"thresh": 0.2}}
        text = write_report(make_results(tuned_postprocess=inside, tuning_table=GRID))
        assert "edge of the grid" not in text

    def test_an_experiment_that_is_no_longer_configured_is_named(self) -> None:
        beside = [Experiment(name, score_rows(), {}, {}) for name in ("tiny", "large", "gone")]
        recipes = {"tiny": {"frame": {"size": 640}}, "large": {"frame": {"size": 960, "crop": 64}}}
        text = write_report(make_results(experiments=beside, recipes=recipes))
        assert f"| frame.size | 640 | 960 | {NOTHING} |" in text
        assert f"| frame.crop | {NOTHING} | 64 | {NOTHING} |" in text
        assert "No longer configured: `gone`." in text
        recipes["large"] = recipes["tiny"]
        assert "In no setting." in write_report(make_results(experiments=beside, recipes=recipes))

    @pytest.mark.parametrize("is_open", [True, False])
    def test_an_edge_beyond_which_the_score_falls_gives_no_advice(self, is_open: bool) -> None:
        side = {"lowest": 0.08, "highest": 0.2, "is_open_below": is_open, "is_open_above": True}
        scanned = TUNED | {"plateau": {"thresh": side}}
        text = write_report(make_results(tuned_postprocess=scanned, tuning_table=GRID))
        assert ("thresh = 0.1 is the lowest tried" in text) == is_open

    def test_an_unknown_optimism_is_not_made_up(self) -> None:
        results = make_results(
            score_rows(members=1, holdout=False),
            histories={"fold_0": history(0.1, 0.9)},
            chosen_postprocess=chosen("tuned", (1.0,)),
            tuned_postprocess=TUNED | {"members": ["fold_0"], "honest_hmean": None},
        )
        text = write_report(results)
        assert "best epoch and the thresholds; the test score is as honest" in text
        assert "(honest) | – |" in text  # noqa: RUF001

    def test_tuning_on_other_folds_is_said(self) -> None:
        tuned = TUNED | {"members": ["fold_0"], "honest_hmean": None}
        text = write_report(make_results(tuned_postprocess=tuned, tuning_table=None))
        assert "These are not the members that vote: run tuning again." in text
        assert "An honest estimate takes two folds or more." in text

    def test_a_cell_cannot_break_its_table(self) -> None:
        rows = score_rows()
        rows.loc[rows["page"] == "test_0", "page"] = "a|b.jpg"
        assert "| a\\|b.jpg | 0.9500 |" in write_report(make_results(rows))

    def test_pages_without_words_are_explained_and_counted(self) -> None:
        blank = tabulate_pages("ensemble", "test", {"test_9": score(0, of=0)})
        folds = [tabulate_pages(f"fold_{k}", "test", {"test_9": score(0, of=0)}) for k in (0, 1)]
        text = write_report(make_results(pd.concat([score_rows(), blank, *folds])))
        assert "without any true word count 0 in the page mean" in text
        assert "Of the test pages 1 are such." in text

    def test_rejected_records_are_counted_by_reason(self) -> None:
        rejected = pd.DataFrame(
            [("test", "x", "", "image_unreadable", ""), ("train", "y", "3", "zero_area", "")],
            columns=["subset", "page", "word", "reason", "detail"],
        )
        text = write_report(make_results(rejected=rejected))
        assert "| test | 3 | 30 | 0 | 1 | 0 |" in text
        assert "Rejected for: image_unreadable 1 and zero_area 1." in text
        assert "A rejected test page is in no score here" in text


class TestMissingPieces:
    def test_without_holdout_the_out_of_fold_score_is_the_one_to_trust(self) -> None:
        text = write_report(make_results(score_rows(holdout=False)))
        assert "There is no holdout, so the score to trust is the out-of-fold one, 0.9350" in text
        assert "nothing to score: the data has no holdout." in text

    def test_without_test_truth_the_holdout_judges(self) -> None:
        text = write_report(make_results(score_rows(test=False)))
        assert "on the 3 holdout pages" in text
        assert "the truth of the test pages is withheld" in text
        assert "## The ensemble's worst holdout pages" in text
        assert "holdout score lies on average 0.0350 below" in text

    def test_without_any_truth_nothing_is_claimed(self) -> None:
        text = write_report(make_results(score_rows(test=False, holdout=False)))
        assert "has no score: the truth of the test pages is withheld and there is no" in text
        assert "It cannot be said" in text
        assert "worst" not in text

    def test_one_fold_alone_is_called_so(self) -> None:
        results = make_results(score_rows(members=1), histories={"fold_0": history(0.1, 0.9)})
        text = write_report(results)
        assert "The ensemble, which is fold 0 alone, scores" in text
        assert "Nothing to compare" in text
        assert "folds 1, 2, 3 and 4 do not vote" in text
        assert "--pipeline=ensemble --params members=0,experiment=tiny" in text
        assert "nan" not in text.lower()

    def test_without_tuning_that_is_said(self) -> None:
        text = write_report(make_results())
        assert "Tuning has not run" in text
        assert "are the recipe's" in text
        assert "kedro run --pipeline=tuning --params" not in text
        assert "Not tried yet: tuning (`--pipeline=tuning`), test-time augmentation" in text


class TestLearning:
    def test_pages_of_another_size_are_a_switch_where_a_member_sees_them(self) -> None:
        # The guest has other sizes and ends before the others switch.
        guest = history(0.3, 0.4).assign(size=320.0)
        histories = {"fold_0": history(0.1, 0.5, 0.8, 0.9), "wide/fold_0": guest}
        text = write_report(make_results(histories=histories))
        rows = [
            line for line in text.split("\n") if line.startswith(("| 0 | ", "| 1 | ", "| 2 | "))
        ]
        assert rows == [
            "| 0 | 320/640 | 0.1000 | 0.3000 |  |",
            "| 1 | 320/960 | 0.5000 | **0.4000** | *switch* |",
            "| 2 | 960 | 0.8000 | \u2013 |  |",
        ]

    def test_only_a_training_that_lost_its_patience_was_stopped_early(self) -> None:
        trainings = {"fold_0": {"stopped_by": "patience of 2 epochs"}}
        trainings["fold_1"] = {"stopped_by": "2 epochs"}
        text = write_report(make_results(trainings=trainings))
        assert "| 0.9000 | \u2013 | fold_0: early stopping |" in text
        assert text.count("early stopping") == 1

    def test_own_folds_that_were_still_rising_are_an_open_end(self) -> None:
        histories = {"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.5, 0.8, 0.9)}
        text = write_report(make_results(histories=histories | {"wide/fold_0": history(0.1, 0.9)}))
        # Of the last two epochs (0.3 + 0.1) / 2.
        told = "1 of 2 folds were still rising when they ended, by 0.2000 in an epoch"
        assert told in text.partition("## Where the next gain is likely")[2].partition("\n## ")[0]
        assert "rising when" not in write_report(make_results(histories={"fold_0": None}))

    def test_of_a_long_training_the_middle_is_left_out(self) -> None:
        histories = {"fold_0": history(*np.linspace(0.1, 0.9, 100))}
        text = write_report(make_results(histories=histories))
        table = text.partition("## Epoch by epoch")[2].partition("*Source")[0]
        rows = [line for line in table.split("\n") if line.startswith("| ")][2:]
        assert [row.split(" | ")[0] for row in rows[29:32]] == ["| 29", "| ...", "| 70"]
        assert len(rows) == 61
