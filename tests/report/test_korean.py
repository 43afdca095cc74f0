"""The Korean report: no English is left, and its figures are those of the English one."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.comparisons import ENSEMBLE
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.results import Provenance, Results
from receipt_ocr.pipelines.reporting.drawing import PICTURES
from receipt_ocr.records import RunRecord, Sensitivity
from receipt_ocr.report.html import render_html
from receipt_ocr.report.render import make_environment
from tests.analysis.made_records import (
    choose,
    history,
    list_words,
    submit,
    tell,
    train,
    tune,
    word,
)
from tests.report.made_results import (
    GRID,
    RECIPE,
    REJECTED,
    make_experiment,
    make_results,
    score_rows,
    write,
)

TERMS = {"P", "R", "H", "H-mean", "OOF", "out-of-fold", "Gap", "loss", "TTA", "ID", "paired"}
TERMS |= {"MLflow", "MiB", "M"}
NAMES = {"tiny", "wide", "few", "apart", "base"}
NAMES |= {"thresh", "shape", "polygon", "score", "epoch", "size", "ensemble"}  # of settings
SETTINGS = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size"}

NUMBER = re.compile(r"\d+(?:\.\d+)?")
HANGUL = re.compile(r"[가-힣]")
WORD = re.compile(r"(?<![\w./@=-])[A-Za-z][A-Za-z-]*(?![\w=@]|\.\w)", re.ASCII)
"""A word by itself, no part of the name of a setting, a member or a file."""
PART = re.compile(r"\b(?:report|one|best|tuning|tuned|missing|lost|ensemble|found|side)\.\w+[\w.]*")
"""What a template asks of its context."""


def record(told: float | None = None, source: str = "recipe") -> dict[str, Any]:
    """Records of an experiment with three submissions; ``told`` is what the leaderboard said.

    The first is of other thresholds, the last of a detector of all pages: no score is of these.
    """
    own = choose(source=source)
    gaps = {} if told is None else {"s0": 0.002, "s1": told - 0.935, "s2": None}
    training = train(3_000_000, stopped_by="patience of 2 epochs", inference_seconds_per_page=0.25)
    return {
        "trainings": {"fold_0": training, "fold_1": training},
        "chosen": own,
        "tuned": tune(transferred_hmean=None) if source == "tuned" else None,
        "submissions": [
            submit("s0", choose(thresh=0.77)),
            submit("s1", own),
            submit("s2", own, kind="final"),
        ],
        "leaderboard": [
            tell(told, key, gap=gap, precision=0.97, recall=0.95)
            for key, gap in gaps.items()
            if told is not None
        ],
    }


def experiment(name: str, page_scores: pd.DataFrame, *told: Any) -> Experiment:
    """Another experiment, which stands beside the reported one."""
    histories = {"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.8)}
    return make_experiment(name, page_scores, histories=histories, **record(*told))


def word_rows() -> pd.DataFrame:
    """Words of growing size on ten pages, the small ones missed; and some wrong detections."""
    words = [
        word(
            "missed" if i < 20 else "found", f"page_{i % 10}", characters=1 + i % 7,
            words_of_page=8 + i % 10, height=8.0 + i / 10, tilt=i / 10,
        )
        for i in range(120)
    ]  # fmt: skip
    return list_words(*words, word("false", "page_0"), word("merged", "page_1"))


def full() -> Results:
    """A report with every section, of two experiments and two ways to look."""
    changed = {"recall_penalty": 2, "precision_penalty": 2, "false_positives": 2}
    rows = score_rows().assign(**changed)
    side = Sensitivity(lowest=0.1, highest=0.3, is_open_below=True, is_open_above=False, hmean=0.9)
    lower = rows.assign(hmean=rows["hmean"] - np.linspace(0, 0.02, len(rows)))
    saved = {"pipeline": "ensemble", "saved": "2026-01-02"}
    records = {
        "page_scores": RunRecord(run_id="abc", commit="0123456789abc", **saved),
        "chosen_postprocess": RunRecord(run_id="abd", commit=None, **saved),
        "fold_0_checkpoint": RunRecord(run_id=None, commit=None, **saved),
    }
    others = (
        experiment("tiny@flips", lower, None, "tuned"),
        experiment("wide", rows.assign(hmean=rows["hmean"] - 0.01), 0.2),
    )
    small = {**RECIPE, "frame": {"sizes": [{"epoch": 0, "size": 320}]}}
    tuned = tune(grid_hmean=0.908, sensitivity={"thresh": side})
    return make_results(
        rows,
        histories={"fold_0": history(0.1, 0.9, 0.85), "fold_1": history(0.2, 0.8)},
        others=others,
        **(record(0.95, "tuned") | {"tuned": tuned}),
        compared={"left_out": {"old": "base", "bare": None}, "faults": ["base"]},
        tables={
            "untuned_page_scores": lower,
            "word_outcomes": word_rows(),
            "tuning_table": GRID.assign(min_size=3.0),
            "holdout": tune(transferred_hmean=0.9),
            "rejected": REJECTED,
        },
        more={
            "provenance": Provenance(records, {"abc": ["page_scores"]}, ["fold_1"], "kedro run"),
            "recipes": {"tiny": RECIPE, "wide": small},
        },
    )


def beside() -> Results:
    """Experiments that were judged on other pages, by other thresholds, or without a holdout."""
    rows = score_rows()
    is_own = rows["subset"] == "out_of_fold"
    few = rows[~is_own | (rows["member"] == "fold_0")]
    apart = rows[rows["subset"] != "holdout"].copy()
    apart["page"] = apart["page"].str.replace("train", "other")
    others = (
        experiment("tiny@flips", rows, None, "tuned"),
        experiment("few", few.assign(hmean=few["hmean"] + 0.01)),
        experiment("apart", apart.assign(hmean=apart["hmean"] - 0.01)),
    )
    return make_results(rows, others=others, **record())


def reports() -> Iterator[tuple[str, Results]]:
    yield "full", full()
    yield "beside", beside()
    yield "plain", make_results()
    by_holdout = choose(source="holdout")
    yield "alone", make_results(chosen=by_holdout)
    tuned = {"chosen": choose(source="tuned"), "tuned": tune()}
    yield "no holdout", make_results(score_rows(holdout=False), **tuned)
    yield "no test truth", make_results(score_rows(test=False), chosen=choose(source="tuned"))
    yield "no truth", make_results(score_rows(test=False, holdout=False))
    yield "one fold", make_results(score_rows(members=1), histories={"fold_0": history(0.1, 0.9)})
    lower = score_rows()
    lower.loc[lower["member"] == ENSEMBLE, "hmean"] -= 0.2
    yield "worse, by the holdout", make_results(lower, chosen=by_holdout)
    same = score_rows()
    same.loc[same["member"] == ENSEMBLE, "hmean"] = [0.88, 0.95, 0.9] * 2
    yield "alike", make_results(same, histories={"fold_0": history(0.1, 0.9), "fold_1": None})


NAMED = [name for name, _ in reports()]


@pytest.fixture(scope="module")
def spoken() -> Mapping[str, tuple[str, str]]:
    """Name -> the report in English and in Korean."""
    return {
        name: (write(results, "english", PICTURES), write(results, "korean", PICTURES))
        for name, results in reports()
    }


def take_names_away(text: str) -> str:
    """A report without code and paths."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"</?(?:details|summary)>", "", text)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "", text))


def test_both_templates_ask_for_the_same() -> None:
    loader = make_environment().loader
    assert loader is not None
    for part in ("report", "scores", "background"):
        asked = [
            {
                found.group()
                for found in PART.finditer(loader.get_source(make_environment(), file)[0])
            }
            for file in (f"{part}.en.md.j2", f"{part}.ko.md.j2")
        ]
        assert asked[0] == asked[1]
        assert len(asked[0]) > 10


@pytest.mark.parametrize("name", NAMED)
def test_figures_are_the_same(spoken: Mapping[str, tuple[str, str]], name: str) -> None:
    english, korean = spoken[name]
    figures = [Counter(NUMBER.findall(text)) for text in (english, korean)]
    assert figures[0] == figures[1]
    assert figures[0].total() > 100
    tables = [
        [NUMBER.findall(line) for line in text.splitlines() if line.startswith("|")]
        for text in (english, korean)
    ]
    assert [sorted(row) for row in tables[0]] == [sorted(row) for row in tables[1]]


@pytest.mark.parametrize("name", NAMED)
def test_headings_and_headers_are_korean(spoken: Mapping[str, tuple[str, str]], name: str) -> None:
    lines = spoken[name][1].splitlines()
    headings = [line for line in lines if line.startswith(("#", "<details>"))]
    assert len(headings) > 10
    assert [heading for heading in headings if not HANGUL.search(heading)] == []
    headers = [line.strip("|").split("|") for line, rule in pairwise(lines) if ":---" in rule]
    foreign = {cell.strip() for row in headers for cell in row if not HANGUL.search(cell)}
    members = {"fold_0", "fold_1", "tiny", "tiny@flips", "wide", "few", "apart"}
    short = {"P", "R", "H", "P - R", "OOF", "OOF H", "Gap", ""}
    assert foreign - short - SETTINGS - members == set()


@pytest.mark.parametrize("name", NAMED)
def test_no_english_is_left(spoken: Mapping[str, tuple[str, str]], name: str) -> None:
    left = set(WORD.findall(take_names_away(spoken[name][1])))
    assert left - NAMES - TERMS == set()


def test_english_that_is_left_is_seen() -> None:
    text = take_names_away("## Data\n\n`code` 데이터 is here\n")
    assert set(WORD.findall(text)) == {"Data", "is", "here"}


def test_emphasis_is_seen_as_such_beside_korean_letters(
    spoken: Mapping[str, tuple[str, str]],
) -> None:
    page = render_html(spoken["full"][1], dict.fromkeys(PICTURES.values(), b""), "ko")
    shown = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "*" not in re.sub(r"<[^>]+>", "", shown)
    assert "<strong>" in shown
    assert '<html lang="ko">' in page
