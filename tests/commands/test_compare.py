"""``kedro compare`` as users call it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from receipt_ocr.commands.stored import StoredResults
from receipt_ocr.datasets.project import open_config
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.records import ChosenPostprocess, Voting

PROJECT = Path(__file__).resolve().parents[2]
PAGES = 30

Compare = Callable[..., Result]

CATALOGS: dict[str, dict[str, Any]] = {}


def catalog_of(project: Path, env: str | None, params: dict[str, Any]) -> dict[str, Any]:
    """The project's own catalog, read once: that takes most of a test's time."""
    key = f"{env} {sorted(params.items())}"
    if key not in CATALOGS:
        CATALOGS[key] = open_config(project, env, params)["catalog"]
    return CATALOGS[key]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def catalog(results: StoredResults) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setenv("RECEIPT_OCR_WORKSPACE", "/workspace")
            entries = catalog_of(results.project, results.env, dict(results.params))
        return {
            name: {**entries[name], "filepath": entries[name]["filepath"].replace(*moved)}
            for name in ("page_scores", "chosen_postprocess")
        }

    moved = ("/workspace", str(tmp_path / "work"))
    monkeypatch.setattr(StoredResults, "catalog", property(catalog))
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/untouched.db")
    return tmp_path / "work"


@pytest.fixture
def compare(invoke: Compare) -> Compare:
    return partial(invoke, "compare", "--env=demo")


def store(scores: pd.DataFrame, chosen: dict[str, Any] | None = None, **params: str) -> Path:
    """Write page scores, and what they were made with, where the catalog has them."""
    results = StoredResults(PROJECT, "demo", {"tta": "none", **params})
    path = Path(results.address("page_scores"))
    path.parent.mkdir(parents=True)
    scores.to_parquet(path)
    if chosen is not None:
        file = Path(results.address("chosen_postprocess"))
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(chosen))
    return path


def draw(gain: float = 0.0, pages: int = PAGES) -> pd.DataFrame:
    """Out-of-fold and test scores; only those out of fold differ by the gain."""
    rows, random = [], np.random.default_rng(0)
    for subset, member in (("out_of_fold", "fold_0"), ("test", "fold_0"), ("test", "ensemble")):
        gained = gain if subset == "out_of_fold" else 0.0
        hmeans = random.uniform(0.6, 0.9, PAGES)[:pages] + gained
        rows += [(member, subset, f"page {i}", hmean) for i, hmean in enumerate(hmeans)]
    return pd.DataFrame(rows, columns=["member", "subset", "page", "hmean"])


def lines_of(output: str, start: str) -> list[str]:
    """The lines that begin with something, with single spaces."""
    return [" ".join(line.split()) for line in output.splitlines() if line.startswith(start)]


def test_two_experiments_are_compared_in_plain_words(compare: Compare, tmp_path: Path) -> None:
    store(draw(), experiment="lite0")
    store(draw(0.02), experiment="convnext_tiny")
    result = compare("lite0", "convnext_tiny")
    [row] = lines_of(result.output, "out-of-fold")
    mean = draw()["hmean"][:PAGES].mean()
    assert row == (
        f"out-of-fold all folds {PAGES} {mean:.4f} {mean + 0.02:.4f} -0.0200 -0.0200 to -0.0200"
    )
    assert lines_of(result.output, "  ->") == [
        "-> convnext_tiny is better than lite0",
        "-> lite0 and convnext_tiny cannot be told apart",
        "-> lite0 and convnext_tiny cannot be told apart",
    ]
    assert lines_of(result.output, "conclusion") == [
        "conclusion: convnext_tiny is better than lite0 on out-of-fold (all folds); lite0 and "
        "convnext_tiny cannot be told apart on test (ensemble), test (mean fold)"
    ]
    assert "paired\nbootstrap" in result.output
    assert "leaderboard" not in result.output
    assert not (tmp_path / "untouched.db").exists()


def test_maps_with_and_without_augmentation_are_compared(
    compare: Compare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def catalog(results: StoredResults) -> dict[str, Any]:
        asked.append((results.project, results.env, results.params))
        path = tmp_path / f"{results.params['tta']}.parquet"
        draw(0.0 if results.params["tta"] == "none" else 0.01).to_parquet(path)
        entry = {"type": "pandas.ParquetDataset", "filepath": str(path)}
        absent = {"type": "json.JSONDataset", "filepath": str(tmp_path / "absent.json")}
        return {"page_scores": entry, "chosen_postprocess": absent}

    monkeypatch.setattr(StoredResults, "catalog", property(catalog))
    result = compare("lite0@flips", "lite0", "--params", "ensemble.thresholds=recipe")
    given = {"ensemble": {"thresholds": "recipe"}, "experiment": "lite0"}
    assert asked[:2] == [(PROJECT, "demo", {**given, "tta": tta}) for tta in ("flips", "none")]
    assert lines_of(result.output, "  ->")[0] == "-> lite0@flips is better than lite0"


def test_pages_that_one_lacks_are_counted_and_equal_scores_decide_nothing(compare: Compare) -> None:
    path = store(draw(), experiment="lite0", tta="flips")
    assert path.parent.name == "lite0@flips"
    store(draw(pages=PAGES - 1), experiment="lite0")
    result = compare("lite0", "lite0@flips")
    left_out = "left out: 1 page that only lite0@flips was judged on"
    assert lines_of(result.output, "     left out") == [left_out] * 3
    assert lines_of(result.output, "conclusion") == [
        "conclusion: lite0 and lite0@flips cannot be told apart, whatever is compared"
    ]


def test_other_thresholds_and_members_are_warned_of(compare: Compare) -> None:
    for params, names, source in (
        ({"experiment": "lite0", "tta": "flips"}, ("fold_0", "fold_1"), "recipe"),
        ({"experiment": "lite0"}, ("fold_0",), "tuned"),
    ):
        weights = tuple(1 / len(names) for _ in names)
        voting = Voting(names=names, weights=weights, sources={}, mean="probability")
        chosen = ChosenPostprocess(source=source, postprocess=PostprocessSettings(), members=voting)
        store(draw(), chosen.model_dump(mode="json"), **params)
    output = compare("lite0", "lite0@flips").output
    assert "lite0: members 1, mean of probability, thresholds tuned\n" in output
    assert "lite0@flips: members 2, mean of probability, thresholds recipe\n" in output
    assert "warning: they differ in members, thresholds as well" in output


def test_a_leaderboard_of_so_many_pages_is_foretold(compare: Compare) -> None:
    store(draw(), experiment="lite0")
    other = draw(0.02)
    store(other[other["subset"] == "test"], experiment="convnext_tiny")
    result = compare("lite0", "convnext_tiny", "--test-pages=413")
    assert "a leaderboard of 413 pages" in result.output
    [found] = lines_of(result.output, "  lite0")
    low, high = (float(found.split()[place]) for place in (1, 3))
    own = draw()["hmean"][:PAGES]
    assert low < own.mean() < high
    sd = own.std(ddof=0) * np.sqrt(1 / PAGES + (1 - 1 / PAGES) / 413)
    assert high - low == pytest.approx(2 * 1.96 * sd, rel=0.08)
    assert lines_of(result.output, "  convnext_tiny") == [
        "convnext_tiny unknown (fewer than two out-of-fold pages)"
    ]


def test_missing_scores_name_the_command_that_makes_them(compare: Compare) -> None:
    store(draw(), experiment="lite0")
    result = compare("lite0", "convnext_tiny@flips", "--params", "ensemble.folds=all")
    assert result.exit_code == 1
    assert "no page scores of convnext_tiny@flips at" in result.output
    assert (
        "kedro run --env=demo --pipeline=ensemble --params "
        "ensemble.folds=all,experiment=convnext_tiny,tta=flips" in result.output
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lite0", "lite0"], "lite0 and lite0 are the same; name two"),
        (["lite0@none", "lite0"], "lite0@none and lite0 both lead to /"),
        (["nope", "lite0"], "Unknown experiment 'nope'; known are"),
        (["lite0", "@flips"], "'@flips' is no name to compare; write EXPERIMENT or"),
        (["lite0", "lite0@"], "'lite0@' is no name to compare"),
        (["a@b@c", "lite0"], "'a@b@c' is no name to compare"),
        (["lite0", "x", "--params", "tta=flips"], "--params tta cannot be given"),
        (["lite0", "x", "--params", "experiment=lite0"], "--params experiment cannot be given"),
    ],
)
def test_what_cannot_be_compared_is_one_message(
    compare: Compare, arguments: list[str], message: str
) -> None:
    result = compare(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_no_common_pages_are_one_message(compare: Compare) -> None:
    store(draw(), experiment="lite0")
    store(draw().assign(page=lambda own: "other " + own["page"]), experiment="convnext_tiny")
    result = compare("lite0", "convnext_tiny")
    assert result.exit_code == 1
    assert "judged on no two pages in common" in result.output
