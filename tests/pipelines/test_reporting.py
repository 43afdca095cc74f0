"""Reporting as Kedro runs it: report and pictures, also where pieces are missing."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from matplotlib.figure import Figure
from PIL import Image

from receipt_ocr.analysis.scores import tabulate_pages, tabulate_scores
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.evaluation.cleval import PageScore
from receipt_ocr.pipelines import reporting
from receipt_ocr.pipelines.reporting.drawing import PICTURES, draw_histories
from receipt_ocr.receipts.settings import FOLD_COUNT
from tests.analysis.made_records import choose, history, train, tune
from tests.report.made_results import make_experiment
from tests.report.recorded_runs import MINE, open_catalog

BAR = [10.0, 10.0, 90.0, 10.0, 90.0, 30.0, 10.0, 30.0]
LOW_BAR = [10.0, 60.0, 90.0, 60.0, 90.0, 80.0, 10.0, 80.0]
TEST_PAGES = [f"test_{index}.png" for index in range(8)]
TUNED = tune(cross_fitted_hmean=0.81)
REPORTING = f"08_reporting/{MINE}"
CATALOG = Path(__file__).resolve().parents[2] / "conf/base/catalog.yml"


def make_scores(members: list[int], test_truth: bool) -> pd.DataFrame:
    tables = []
    for fold in members:
        own = {f"train_{fold}.png": PageScore(10, 10, 8, 0, 0, 0)}
        tables.append(tabulate_pages(f"fold_{fold}", "out_of_fold", own))
    if test_truth:
        for member in [*(f"fold_{fold}" for fold in members), "ensemble"]:
            pages = {name: PageScore(20, 20, 10 + i, 0, 0, 0) for i, name in enumerate(TEST_PAGES)}
            tables.append(tabulate_pages(member, "test", pages))
    return pd.concat(tables, ignore_index=True)


def make_catalog(
    folder: Path, members: list[int], test_truth: bool = True, trained: list[int] | None = None
) -> DataCatalog:
    """The project's catalog over a folder; tables are in memory, histories and results in files."""
    images = folder / "raw/images/test"
    images.mkdir(parents=True)
    for name in TEST_PAGES:
        Image.new("RGB", (100, 160), (200, 200, 200)).save(images / name)
    pages = pd.DataFrame(
        [(name, "test", f"images/test/{name}", 2, test_truth) for name in TEST_PAGES],
        columns=["page", "subset", "path", "word_count", "has_truth"],
    )
    words = pd.DataFrame(
        [(name, "test", bar, False) for name in TEST_PAGES for bar in (BAR, LOW_BAR)],
        columns=["page", "subset", "polygon", "ignored"],
    )
    page_scores = make_scores(members, test_truth)
    catalog = open_catalog(folder, ensemble=EnsembleSettings(members=tuple(members)))
    for name, value in {
        "raw_receipts": folder / "raw",
        "pages": pages,
        "words": words if test_truth else words.iloc[:0],
        "rejected": pd.DataFrame(columns=["subset", "page", "word", "reason", "detail"]),
        "page_scores": page_scores,
        "untuned_page_scores": page_scores.iloc[:0],
        "scores": tabulate_scores(page_scores),
        "word_outcomes": None,
        "worst_detections": None,
        "chosen_postprocess": choose(tuple(f"fold_{fold}" for fold in members)),
        "test_detections": {name: [BAR] for name in TEST_PAGES},
        "worst_pages": None,
    }.items():
        catalog[name] = MemoryDataset(value, copy_mode="assign")
    for fold in members if trained is None else trained:
        catalog.save(f"fold_{fold}_history", history(0.1, 0.8))
    return catalog


def read_report(folder: Path) -> str:
    return (folder / REPORTING / "report.md").read_text(encoding="utf-8")


def run(catalog: DataCatalog, *results: str) -> None:
    """As far as these results, without pictures that they do not need; all where none is named."""
    pipeline = reporting.create_pipeline()
    SequentialRunner().run(pipeline.to_outputs(*results) if results else pipeline, catalog)


def test_report_and_pictures_are_written_and_belong_together(tmp_path: Path) -> None:
    run(make_catalog(tmp_path, list(range(FOLD_COUNT))))
    report = read_report(tmp_path)
    assert report.startswith("# wide on drawn receipts\n")
    # Recall and precision of page i are (10 + i) / 20: on average 13.5 / 20.
    assert "scores 0.6750 on the 8 test pages" in report
    assert "It cannot be told apart from the best fold" in report
    assert "Tuning has not run" in report
    assert "\ntest_time.scales: [1.0]\n" in report
    page = (tmp_path / REPORTING / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 3
    drawn = {name: PICTURES[name] for name in ("scores", "history", "gallery")}
    assert re.findall(r"!\[.*\]\((.*)\)", report) == list(drawn.values())
    for file in drawn.values():
        with Image.open(tmp_path / REPORTING / file) as picture:
            assert min(picture.size) > 200
    assert (tmp_path / REPORTING / "gallery.jpg").stat().st_size < 1_000_000


def test_a_withheld_truth_still_gives_a_report_and_detections_to_look_at(tmp_path: Path) -> None:
    run(make_catalog(tmp_path, [0, 1], test_truth=False), "report", "gallery")
    report = read_report(tmp_path)
    assert "has no score: the truth of the test pages is withheld" in report
    assert (tmp_path / REPORTING / "gallery.jpg").is_file()


def test_what_tuning_found_is_reported(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, [0, 1])
    catalog.save("tuned_postprocess", TUNED)
    grid = {"thresh": [0.1, 0.29], "box_thresh": 0.25, "unclip_ratio": 2.0, "max_candidates": 600}
    table = pd.DataFrame(grid).assign(min_size=5.0, recall=0.8, precision=0.8, hmean=0.8)
    catalog.save("tuning_table", table)
    run(catalog, "report", "search_files")
    report = read_report(tmp_path)
    assert "(honest) | 0.8100 |" in report
    assert "thresh = 0.1 is the lowest tried" in report
    for name, content in catalog.load("search_files").items():
        assert f"]({name})" in report
        assert content.startswith(b"\x89PNG")


def test_points_that_are_gone_leave_what_tuning_chose(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, [0, 1])
    catalog.save("tuned_postprocess", TUNED)
    run(catalog, "report", "search_files")
    assert catalog.load("search_files") == {}
    assert "(honest) | 0.8100 |" in read_report(tmp_path)
    assert "search.png" not in read_report(tmp_path)


def test_the_worst_pages_are_drawn_with_what_was_found(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, [0, 1])
    pages, words = catalog.load("pages"), catalog.load("words")
    # The test pages stand for those that were judged out of fold.
    is_first = pages["page"] == TEST_PAGES[0]
    catalog["pages"] = MemoryDataset(pages.assign(subset=np.where(is_first, "train", "test")))
    catalog["words"] = MemoryDataset(words.assign(subset="train"))
    catalog["worst_detections"] = MemoryDataset({"out_of_fold": {TEST_PAGES[0]: [BAR]}})
    catalog["worst_pages_file"] = MemoryDataset()
    run(catalog, "report", "worst_pages", "worst_pages_file")
    report = read_report(tmp_path)
    file = PICTURES["worst_pages"]
    assert f"]({file})" in report
    assert list(catalog.load("worst_pages_file")) == [file]
    colours = np.asarray(catalog.load("worst_pages")).reshape(-1, 3)
    missed = np.abs(colours.astype(int) - (213, 60, 0)).sum(axis=1) < 60
    assert missed.any()  # the lower bar


def test_scores_of_other_members_make_no_report(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, [0, 1])
    catalog["params:ensemble"] = MemoryDataset(EnsembleSettings(members=0))
    with pytest.raises(ValueError, match=r"scores are of fold_0, fold_1, .* asks for fold_0; run"):
        run(catalog, "report")
    assert not (tmp_path / REPORTING / "report.md").exists()


def test_without_any_history_there_is_no_picture_of_them(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path, [0, 1], trained=[])
    catalog["history_file"] = MemoryDataset()
    run(catalog, "report", "history_file")
    assert catalog.load("history_file") == {}
    assert "history.png" not in read_report(tmp_path)


def test_trainings_that_were_stopped_early_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[object] = []

    def remember(histories: dict[str, pd.DataFrame], stopped_early: list[str]) -> Figure:
        marked.extend((list(histories), stopped_early))
        return Figure()

    monkeypatch.setattr("receipt_ocr.pictures.plots.plot_histories", remember)
    histories = {"fold_0": history(0.1, 0.8), "fold_1": history(0.1, 0.8), "fold_2": None}
    own = make_experiment(
        histories=histories,
        trainings={"fold_0": train(stopped_by="patience of 1 epochs"), "fold_1": train()},
    )
    draw_histories(histories, own)
    assert marked == [["fold_0", "fold_1"], ["fold_0"]]


def test_the_catalog_puts_the_pictures_beside_the_report() -> None:
    entries = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    names = ["history_plot", "score_plot", "worst_pages", "gallery", "search_plot"]
    names.append("precision_recall_plot")
    folder = entries["report"]["filepath"].removesuffix("report.md")
    assert [entries[name]["filepath"] for name in names] == [
        f"{folder}{file}" for file in PICTURES.values()
    ]
