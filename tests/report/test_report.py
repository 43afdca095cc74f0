"""What the report says, also where something is missing."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from receipt_ocr.analysis.results import Provenance
from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.records import Sensitivity
from receipt_ocr.report.markdown import NOTHING, tidy_table
from receipt_ocr.report.render import make_environment
from tests.analysis.made_records import choose, history, tune
from tests.report.made_results import (
    GRID,
    RECIPE,
    REJECTED,
    make_experiment,
    make_results,
    score,
    score_rows,
    write,
)
from tests.report.report_reader import read_code, read_prose, read_tables

FOLDS = "Folds and ensemble"
TUNED = {"chosen": choose(source="tuned", thresh=0.1), "tuned": tune()}


class TestReport:
    def test_the_first_screen_says_what_was_reached(self) -> None:
        text = write(make_results(), pictures={"scores": "scores.png"})
        assert text.startswith("# tiny on 01_raw/receipts\n\n")
        first = text.partition("<details>")[0]
        prose = read_prose(first)
        assert "It is better than the best fold, fold_1 (+0.0500), and is better than the" in prose
        assert "Folds that do not vote: 2, 3 and 4." in prose
        assert list(read_tables(first)) == ["Experiments"]
        assert first.count("![") == 1

    def test_equal_scores_out_of_fold_and_on_test_are_called_equal(self) -> None:
        own = tabulate_pages("fold_0", "out_of_fold", {"a": score(95), "b": score(97)})
        test = {"x": score(95), "y": score(97)}
        voted = [tabulate_pages(member, "test", test) for member in ("fold_0", "ensemble")]
        text = write(make_results(pd.concat([own, *voted]), histories={"fold_0": history(0.9)}))
        assert "The fold's test score equals the out-of-fold one." in text

    def test_every_table_names_its_source(self) -> None:
        text = write(make_results(**TUNED, tables={"tuning_table": GRID}))
        sections = re.split("\n## |\n<details>", text)[1:]
        with_table = [section for section in sections if "\n| :---" in section]
        assert len(with_table) == 9
        for section in with_table:
            assert section.count("*Source: `") >= 1, section

    def test_pictures_are_named_by_their_path(self) -> None:
        text = write(make_results(**TUNED), pictures={"gallery": "g.jpg", "search": "a/s.png"})
        caption = "Six test pages, from the ensemble's worst to its best"
        assert f"![{caption}](g.jpg)\n\n*{caption}*\n" in text
        assert text.index("](a/s.png)") < text.index(f"![{caption}]")
        assert text.count("![") == 2

    def test_a_tta_view_is_repeated_with_what_was_trained_once(self) -> None:
        command = "kedro run --env=demo"
        more = {"provenance": Provenance(command=command), "recipes": {}}
        text = write(make_results(name="tiny@flip", more=more))
        assert read_code(text, "How to repeat it") == [
            f"{command} --pipeline=ingestion",
            f"{command} --pipeline=splitting",
            f"{command} --pipeline=train_fold --params fold=0,experiment=tiny",
            f"{command} --pipeline=predict_fold --params fold=0,experiment=tiny,tta=flip",
            f"{command} --pipeline=train_fold --params fold=1,experiment=tiny",
            f"{command} --pipeline=predict_fold --params fold=1,experiment=tiny,tta=flip",
            f"{command} --pipeline=ensemble --params members=0+1,experiment=tiny,tta=flip",
            f"{command} --pipeline=reporting --params members=0+1,experiment=tiny,tta=flip",
        ]

    def test_external_members_are_trained_as_they_look(self) -> None:
        histories = {"fold_1": history(0.1, 0.9), "wide@flip/fold_3": history(0.2, 0.8)}
        commands = read_code(write(make_results(histories=histories)), "How to repeat it")
        assert commands[2:5] == [
            "kedro run --pipeline=train_fold --params fold=1,experiment=tiny",
            "kedro run --pipeline=train_fold --params fold=3,experiment=wide",
            "kedro run --pipeline=predict_fold --params fold=3,experiment=wide,tta=flip",
        ]
        members = commands[5].partition("members=")[2].partition(",")[0]
        voters = EnsembleSettings.model_validate({"members": members}).voters
        assert [str(member) for member in voters] == list(histories)

    def test_settings_are_flat_and_complete_but_for_those_without_effect(self) -> None:
        text = write(make_results(chosen=choose(weights=(0.25, 0.75))))
        assert read_code(text, "Settings") == [
            "network.encoder: lite0",
            "frame.sizes: epoch 0, size 640; epoch 4, size 960",
            "training.schedule: one_cycle",
            "training.epochs: 7",  # no schedule_epochs, which only the cosine looks at
            "ensemble.mean: probability",
            "ensemble.weights.fold_0: 0.2500",
            "ensemble.weights.fold_1: 0.7500",
        ]

    def test_a_cell_cannot_break_its_table(self) -> None:
        rows = score_rows()
        rows.loc[rows["page"] == "test_0", "page"] = "a|b.jpg"
        assert "| a\\|b.jpg | 0.9500 |" in write(make_results(rows))

    def test_pages_without_words_are_explained_and_counted(self) -> None:
        members = ("ensemble", "fold_0", "fold_1")
        blank = [tabulate_pages(name, "test", {"test_9": score(0, of=0)}) for name in members]
        text = write(make_results(pd.concat([score_rows(), *blank])))
        assert "1 test pages without any true word count 0 in the page mean" in text

    def test_a_rejected_test_page_is_explained(self) -> None:
        text = write(make_results(tables={"rejected": REJECTED}))
        assert "| test | 3 | 30 | 0 | 1 | 0 |" in text
        assert "A rejected test page is in no score here" in text

    def test_an_experiment_that_is_no_longer_configured_is_named(self) -> None:
        others = (make_experiment("large"), make_experiment("gone"))
        recipes: dict[str, Any] = {"tiny": {"frame": {"size": 640}}}
        recipes["large"] = {"frame": {"size": 960, "crop": 64}}
        text = write(make_results(others=others, more={"recipes": recipes}))
        (table,) = read_tables(text)["What the experiments differ in"]
        assert table[1:] == [["frame.size", "640", "960"], ["frame.crop", NOTHING, "64"]]
        assert "No longer configured: `gone`." in text

    def test_a_setting_without_effect_is_no_difference(self) -> None:
        other: dict[str, Any] = {**RECIPE, "training": RECIPE["training"] | {"schedule_epochs": 9}}
        recipes = {"tiny": RECIPE, "large": other}
        text = write(make_results(others=(make_experiment("large"),), more={"recipes": recipes}))
        assert "In no setting that has an effect." in text


class TestTuning:
    def test_it_is_told_with_its_honest_score_and_how_it_is_repeated(self) -> None:
        results = make_results(score_rows(holdout=False), **TUNED, tables={"tuning_table": GRID})
        text = write(results)
        prose = read_prose(text)
        assert "made with the settings that tuning found out of fold" in prose
        assert "| at the best point of the grid | 0.9100 |" in text  # without a refinement
        assert "and the thresholds; the thresholds flatter it by 0.0050" in prose
        assert "run tuning again" not in text
        assert "kedro run --pipeline=tuning --params members=0+1,experiment=tiny" in text

    @pytest.mark.parametrize(
        ("thresh", "is_open", "advised"),
        [(0.1, True, True), (0.1, False, False), (0.2, True, False)],
    )
    def test_only_an_open_edge_of_the_grid_gives_advice(
        self, thresh: float, is_open: bool, advised: bool
    ) -> None:
        side = Sensitivity(
            lowest=0.08, highest=0.2, is_open_below=is_open, is_open_above=True, hmean=0.9
        )
        tuned = tune(postprocess=PostprocessSettings(thresh=thresh), sensitivity={"thresh": side})
        text = write(make_results(tuned=tuned, tables={"tuning_table": GRID}))
        assert ("thresh = 0.1 is the lowest tried; widen" in text.replace("\n", " ")) == advised
        assert ("edge of the grid" in text) == advised

    def test_an_unknown_optimism_is_not_made_up(self) -> None:
        results = make_results(
            score_rows(members=1, holdout=False),
            histories={"fold_0": history(0.1, 0.9)},
            chosen=choose(("fold_0",), source="tuned"),
            tuned=tune(("fold_0",), cross_fitted_hmean=None),
        )
        text = write(results)
        assert "best epoch and the thresholds; the test score is as honest" in text
        assert "(honest)" not in text

    def test_tuning_on_other_folds_is_said(self) -> None:
        text = write(make_results(tuned=tune(("fold_0",), cross_fitted_hmean=None)))
        assert "These are not the members that vote: run tuning again." in text
        assert "An honest estimate takes two folds or more." in text
        assert "**It is not used:**" in text

    def test_without_tuning_that_is_said(self) -> None:
        text = write(make_results())
        assert "Tuning has not run" in text
        assert "made with the recipe's settings" in text
        assert "kedro run --pipeline=tuning --params" not in text
        assert "Not tried yet: tuning (`--pipeline=tuning`), test-time augmentation" in text


class TestMissingPieces:
    def test_without_holdout_the_out_of_fold_score_is_the_one_to_trust(self) -> None:
        text = write(make_results(score_rows(holdout=False)))
        assert "There is no holdout: trust the out-of-fold score, 0.9350 on average" in text
        assert "holdout H" not in read_tables(text)[FOLDS][0][0]

    def test_without_test_truth_the_holdout_judges(self) -> None:
        text = write(make_results(score_rows(test=False)))
        assert "on the 3 holdout pages" in text
        assert "The truth of the test pages is withheld, so only the leaderboard" in text
        assert "<summary>The ensemble's worst holdout pages</summary>" in text
        assert "holdout score lies 0.0350 below" in text

    def test_without_any_truth_nothing_is_claimed(self) -> None:
        text = write(make_results(score_rows(test=False, holdout=False)))
        assert "has no score: the truth of the test pages is withheld" in text
        assert "worst" not in text

    def test_one_fold_alone_is_called_so(self) -> None:
        text = write(make_results(score_rows(members=1), histories={"fold_0": history(0.1, 0.9)}))
        assert "The ensemble, which is fold 0 alone,\nscores" in text
        assert "ensemble instead of" not in text
        assert "Folds that do not vote: 1, 2, 3 and 4." in text
        assert "--pipeline=ensemble --params members=0,experiment=tiny" in text
        assert "standard deviation" not in text
        assert "nan" not in text.lower()

    def test_what_a_template_asks_for_and_a_report_lacks_is_an_error(self) -> None:
        with pytest.raises(UndefinedError, match="no attribute 'nothing'"):
            make_environment().from_string("{{ report.nothing }}").render(report=make_results())


class TestLearning:
    def test_own_folds_that_were_still_rising_are_an_open_end(self) -> None:
        histories = {"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.5, 0.8, 0.9)}
        text = write(make_results(histories=histories | {"wide/fold_0": history(0.1, 0.9)}))
        # Of the last two epochs (0.3 + 0.1) / 2.
        told = "1 of 2 folds were still rising when they ended, by 0.2000 in an epoch"
        assert told in text.partition("<details>")[0]
        assert "rising when" not in write(make_results(histories={"fold_0": None}))

    def test_of_a_long_training_the_middle_is_left_out(self) -> None:
        histories = {"fold_0": history(*np.linspace(0.1, 0.9, 100))}
        text = write(make_results(histories=histories))
        rows = read_tables(text)["Learning: too little or too much?"][1][1:]
        assert [row[0] for row in rows[29:32]] == ["29", "...", "70"]
        assert len(rows) == 61


def test_rows_and_columns_of_dashes_are_left_out() -> None:
    lines = f"""
    | name | a | b | c |
    | x | {NOTHING} | 1 | |
    | y | {NOTHING} | {NOTHING} | {NOTHING} |
    | z | {NOTHING} | 2\\|3 | |
    """
    assert tidy_table(lines) == "| name | b |\n| :--- | ---: |\n| x | 1 |\n| z | 2\\|3 |\n"


def test_the_reason_for_leaving_an_experiment_out_is_on_one_line() -> None:
    text = write(make_results(compared={"left_out": {"odd": "its file is\nbroken"}}))
    assert "`odd` is left out: its file is broken.\n" in text
