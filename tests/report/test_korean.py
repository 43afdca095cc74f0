"""The Korean report: every sentence is translated, and its numbers are those of the English one."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis import comparisons, fitting
from receipt_ocr.analysis.bootstrap import Verdict
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.tables import ENSEMBLE
from receipt_ocr.analysis.word_errors import GROUPS, WORD_COLUMNS, WORD_TYPES
from receipt_ocr.pipelines.reporting.nodes import PICTURES, SEARCH_PICTURES
from receipt_ocr.report.html import render_html
from receipt_ocr.report.korean import TEXTS
from receipt_ocr.report.language import speaking
from receipt_ocr.report.report import Results, write_report
from tests.report.test_report import GRID, TUNED, chosen, history, make_results, score_rows

SOURCES = Path(comparisons.__file__).parent
NODES = SOURCES.parent / "pipelines/reporting/nodes.py"

DATA = {
    *get_args(Verdict),
    *(fitting.STILL_RISING, fitting.PAST_ITS_PEAK, fitting.LEVELLED),
    *("as expected", "higher than expected", "lower than expected"),
    *("train", "holdout", "test", "out_of_fold", "out-of-fold"),
    *("recipe", "tuned"),
    *(ENSEMBLE, comparisons.ALL_FOLDS, comparisons.MEAN_FOLD, "best fold"),
    *("mean of folds", "standard deviation"),
    *GROUPS.values(),
    "it has no scores; run --pipeline=ensemble for it",
    *(caption for caption, _ in (PICTURES | SEARCH_PICTURES).values()),
}
"""Values of tables and constants that a report says as they are."""

SHORT = {"P", "R", "H", "P - R", "H-mean", "OOF", "OOF P", "OOF R", "OOF H", "Gap", ""}
"""Headers that are the same in both languages."""

TERMS = {"P", "R", "H", "H-mean", "OOF", "out-of-fold", "Gap", "loss", "TTA", "ID", "paired"}
TERMS |= {"MLflow", "MiB", "M", "base"}
NAMES = {"tiny", "wide", "few", "apart", "ensemble", "thresh"}

NUMBER = re.compile(r"\d+(?:\.\d+)?")
HANGUL = re.compile(r"[가-힣]")
WORD = re.compile(r"(?<![\w./@=-])[A-Za-z][A-Za-z-]*(?![\w=@]|\.\w)", re.ASCII)
"""A word by itself, no part of the name of a setting, a member or a file."""


def list_templates() -> set[str]:
    """First arguments of every call of ``say`` that are written out."""
    found = set()
    for path in [*SOURCES.glob("*.py"), NODES]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def fields(template: str) -> list[tuple[str, str]]:
    """Names of its fields and how they are formatted, sorted."""
    parts = Formatter().parse(template)
    return sorted((name, form or "") for _, name, form, _ in parts if name is not None)


def experiment(
    name: str, page_scores: pd.DataFrame, told: float | None = None, source: str = "recipe"
) -> Experiment:
    """An experiment with three submissions; ``told`` is what the leaderboard said of each.

    The first is of other thresholds, the last of a detector of all pages: no score is of these.
    """
    record = {
        "parameters": {"encoder": 3_000_000, "decoder": 400_000},
        "seconds": 754.0,
        "checkpoint_bytes": 12_345_678,
        "stopped_by": "patience",
    }
    own = chosen(source)
    names = own["members"]["names"]
    own["members"] |= {"sources": dict.fromkeys(names, "0123")}
    made = {"kind": "ensemble", "postprocess": own["postprocess"]}
    made |= {"members": [{"name": member, "weight": 0.5} for member in names]}
    said = {"source": "leaderboard", "precision": 0.97, "recall": 0.95, "hmean": told}
    told_of = {} if told is None else {"s0": 0.002, "s1": told - 0.935, "s2": None}
    return Experiment(
        name=name,
        page_scores=page_scores,
        histories={"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.8)},
        trainings={"fold_0": record, "fold_1": record},
        submissions=[
            made | {"submission": "s0", "postprocess": {"thresh": 0.77}},
            made | {"submission": "s1"},
            made | {"submission": "s2", "kind": "final"},
        ],
        leaderboard=[said | {"submission": key, "gap": gap} for key, gap in told_of.items()],
        chosen=own,
    )


def word_rows() -> pd.DataFrame:
    """Words of growing size on ten pages, the small ones missed; and some wrong detections."""
    rows: list[tuple[Any, ...]] = []
    for i in range(120):
        outcome, sizes = "missed" if i < 20 else "found", (8.0 + i / 10, 40.0, i / 10)
        row = ("fold_0", "out_of_fold", f"page_{i % 10}", outcome, True, 1 + i % 7, 8 + i % 10)
        rows.append((*row, *sizes))
    rows += [
        ("fold_0", "out_of_fold", f"page_{i}", outcome, False, 0, 9, 12.0, 40.0, 2.0)
        for i, outcome in enumerate(("false", "merged"))
    ]
    return pd.DataFrame(rows, columns=WORD_COLUMNS).astype(WORD_TYPES)


def with_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Page scores with one cut, join and false detection a page."""
    changed = {"recall_penalty": 2, "precision_penalty": 2, "false_positives": 2}
    return rows.assign(**{name: value for name, value in changed.items() if name in rows})


def full() -> Results:
    """A report with every section, of two experiments and two ways to look."""
    rows = with_errors(score_rows())
    tuned = TUNED | {
        "postprocess": TUNED["postprocess"] | {"min_size": 3.0},
        "grid_hmean": 0.908,
        "plateau": {
            "thresh": {
                "lowest": 0.1,
                "highest": 0.3,
                "is_open_below": True,
                "is_open_above": False,
            }
        },
    }
    holdout = {
        "pages": 3,
        "postprocess": tuned["postprocess"],
        "transferred_hmean": 0.9,
        "chosen_hmean": 0.91,
        "recipe_hmean": 0.89,
    }
    own = experiment("tiny", rows, 0.95, "tuned")
    lower = rows.assign(hmean=rows["hmean"] - np.linspace(0, 0.02, len(rows)))
    return make_results(
        rows,
        histories={"fold_0": history(0.1, 0.9, 0.85), "fold_1": history(0.2, 0.8)},
        chosen_postprocess=chosen("tuned"),
        tuned_postprocess=tuned,
        tuning_table=GRID.assign(min_size=3.0),
        holdout_postprocess=holdout,
        untuned_page_scores=lower,
        word_outcomes=word_rows(),
        trainings=own.trainings,
        experiments=[
            own,
            experiment("tiny@flips", lower, None, "tuned"),
            experiment("wide", rows.assign(hmean=rows["hmean"] - 0.01), 0.2),
        ],
        command="kedro run --env=base",
        left_out={"old": "base"},
        faults=["base"],
        run_records={
            "page_scores": {
                **{"run_id": "abc", "pipeline": "ensemble", "commit": "0123456789abc"},
                "saved": "2026-01-02",
            },
            "chosen_postprocess": {"run_id": "abd"},
            "fold_0_checkpoint": {"saved": "2026-01-03"},
        },
        lost_runs={"abc": ["page_scores"]},
        rejected=pd.DataFrame(
            [("test", "x", "", "image_unreadable", ""), ("train", "y", "3", "zero_area", "")],
            columns=["subset", "page", "word", "reason", "detail"],
        ),
    )


def beside() -> Results:
    """Experiments that were judged on other pages, by other thresholds, or without a holdout."""
    rows = score_rows()
    is_own = rows["subset"] == "out_of_fold"
    few = rows[~is_own | (rows["member"] == "fold_0")]
    apart = rows[rows["subset"] != "holdout"].copy()
    apart["page"] = apart["page"].str.replace("train", "other")
    return make_results(
        rows,
        trainings=experiment("tiny", rows).trainings,
        experiments=[
            experiment("tiny", rows),
            experiment("tiny@flips", rows, None, "tuned"),
            experiment("few", few.assign(hmean=few["hmean"] + 0.01)),
            experiment("apart", apart.assign(hmean=apart["hmean"] - 0.01)),
        ],
    )


def reports() -> Iterator[tuple[str, Results]]:
    yield "full", full()
    yield "beside", beside()
    alone = experiment("tiny", score_rows(), None, "holdout")
    yield "alone", make_results(chosen_postprocess=chosen("holdout"), experiments=[alone])
    yield "plain", make_results()
    yield (
        "no holdout",
        make_results(
            score_rows(holdout=False), chosen_postprocess=chosen("tuned"), tuned_postprocess=TUNED
        ),
    )
    yield "no test truth", make_results(score_rows(test=False), chosen_postprocess=chosen("tuned"))
    yield "no truth", make_results(score_rows(test=False, holdout=False))
    one = {"histories": {"fold_0": history(0.1, 0.9)}}
    yield "one fold", make_results(score_rows(members=1), **one)
    lower = score_rows()
    lower.loc[lower["member"] == ENSEMBLE, "hmean"] -= 0.2
    yield "worse, by the holdout", make_results(lower, chosen_postprocess=chosen("holdout"))
    same = score_rows()
    same.loc[same["member"] == ENSEMBLE, "hmean"] = [0.88, 0.95, 0.9] * 2
    four = {f"fold_{fold}": history(0.1, 0.9) for fold in range(2)}
    yield "alike", make_results(same, histories=four | {"fold_1": None})


NAMED = [name for name, _ in reports()]


@pytest.fixture(scope="module")
def spoken() -> Mapping[str, tuple[str, str]]:
    """Name -> the report in English and in Korean."""
    pictures = PICTURES | SEARCH_PICTURES
    found = {}
    for name, results in reports():
        english = write_report(results, pictures)
        with speaking(TEXTS):
            found[name] = (english, write_report(results, pictures))
    return found


def take_names_away(text: str) -> str:
    """A report without code, paths and the list of settings."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"## 설정\n.*?(?=\n## )", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


class TestTemplates:
    def test_every_template_has_a_translation(self) -> None:
        assert sorted((list_templates() | DATA) - set(TEXTS)) == []

    def test_every_translation_has_a_template(self) -> None:
        assert sorted(set(TEXTS) - (list_templates() | DATA)) == []

    def test_fields_are_the_same(self) -> None:
        differing = {english for english, text in TEXTS.items() if fields(text) != fields(english)}
        assert differing == set()

    def test_only_signs_and_terms_have_no_hangul(self) -> None:
        without = {text for text in TEXTS.values() if not HANGUL.search(text)}
        assert without == {
            "~",
            "/",
            "{most}, {last}",
            "{first} ~ {end}",
            "{subset} {pages}",
            "OOF",
            "H-mean",
            "Gap",
        } | {
            TEXTS["looking by `{tta}` ({member})"],
            TEXTS["test-time augmentation (`--params tta=flip`)"],
        }

    def test_no_particle_hangs_on_the_last_sound_of_a_value(self) -> None:
        # These follow the last sound of the word before them, which a value does not tell.
        bad = re.compile(r"\{([^{}]*)\}`?(?:은|는|이|가|을|를|과|와|으로|로)(?![가-힣])")
        found = {name for text in TEXTS.values() for name in bad.findall(text)}
        assert found == {"choices"}  # all three of its sentences end in the same sound


class TestReport:
    @pytest.mark.parametrize("name", NAMED)
    def test_numbers_are_the_same_in_the_same_order(
        self, spoken: Mapping[str, tuple[str, str]], name: str
    ) -> None:
        english, korean = spoken[name]
        lines = list(zip(english.splitlines(), korean.splitlines(), strict=True))
        for ours, theirs in lines:
            assert NUMBER.findall(theirs) == NUMBER.findall(ours), (ours, theirs)
        assert len(NUMBER.findall(korean)) > 100

    @pytest.mark.parametrize("name", NAMED)
    def test_headings_and_headers_are_korean(
        self, spoken: Mapping[str, tuple[str, str]], name: str
    ) -> None:
        lines = spoken[name][1].splitlines()
        headings = [line for line in lines if line.startswith("#")]
        assert len(headings) > 10
        assert [heading for heading in headings if not HANGUL.search(heading)] == []
        headers = [cells(line) for line, rule in pairwise(lines) if ":---" in rule]
        foreign = {cell for header in headers for cell in header if not HANGUL.search(cell)}
        settings = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size"}
        members = {"fold_0", "fold_1", "tiny", "tiny@flips", "wide", "few", "apart"}
        assert foreign - SHORT - settings - members == set()

    @pytest.mark.parametrize("name", NAMED)
    def test_no_english_is_left(self, spoken: Mapping[str, tuple[str, str]], name: str) -> None:
        left = set(WORD.findall(take_names_away(spoken[name][1])))
        assert left - NAMES - TERMS == set()

    def test_a_heading_that_is_not_translated_is_seen(self) -> None:
        with speaking({key: text for key, text in TEXTS.items() if key != "## Data"}):
            text = write_report(make_results())
        assert set(WORD.findall(take_names_away(text))) - NAMES - TERMS == {"Data"}

    def test_emphasis_is_seen_as_such_beside_korean_letters(
        self, spoken: Mapping[str, tuple[str, str]]
    ) -> None:
        files = {file: b"" for _, file in (PICTURES | SEARCH_PICTURES).values()}
        page = render_html(spoken["full"][1], files, "ko", TEXTS["Contents"])
        shown = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
        assert "*" not in re.sub(r"<[^>]+>", "", shown)
        assert "<strong>" in shown
        assert '<html lang="ko">' in page

    def test_a_sentence_reads_as_korean(self, spoken: Mapping[str, tuple[str, Any]]) -> None:
        assert (
            "앙상블(폴드 0, 1)의 페이지 평균 H-mean은 0.9600입니다"
            "(테스트 3페이지, 95% 신뢰구간 0.9500 ~ 0.9700). "
            "멤버별 단독 점수는 0.8900 ~ 0.9100입니다."
        ) in spoken["plain"][1]
