"""``kedro compare`` as users call it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from receipt_ocr.cli import cli
from receipt_ocr.commands import compare as compare_command
from receipt_ocr.datasets.project import open_config

PROJECT = Path(__file__).resolve().parents[2]
PAGES = 30

Invoke = Callable[..., Result]


CATALOGS: dict[str, dict[str, Any]] = {}


def catalog_of(env: str | None, params: dict[str, Any]) -> dict[str, Any]:
    """The project's own catalog, read once: that takes most of a test's time."""
    key = f"{env} {sorted(params.items())}"
    if key not in CATALOGS:
        CATALOGS[key] = open_config(PROJECT, env, params)["catalog"]
    return CATALOGS[key]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def read_catalog(_: Path, env: str | None, params: dict[str, Any]) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setenv("RECEIPT_OCR_WORKSPACE", "/workspace")
            entry = catalog_of(env, params)["page_scores"]
        path = entry["filepath"].replace("/workspace", str(tmp_path / "work"))
        chosen = {"type": "json.JSONDataset", "filepath": path.replace(".parquet", ".json")}
        return {"page_scores": {**entry, "filepath": path}, "chosen_postprocess": chosen}

    monkeypatch.setattr(compare_command, "read_catalog", read_catalog)
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/untouched.db")
    bootstrap_project(PROJECT)
    return tmp_path / "work"


@pytest.fixture
def invoke() -> Invoke:
    def call(*arguments: str) -> Result:
        place = SimpleNamespace(project_path=PROJECT)
        return CliRunner().invoke(cli, ["compare", *arguments], obj=place)

    return call


def store(scores: pd.DataFrame, **params: str) -> Path:
    """Write page scores where the catalog has them."""
    entry = compare_command.read_catalog(PROJECT, "demo", {"tta": "none", **params})["page_scores"]
    path = PROJECT / entry["filepath"]
    path.parent.mkdir(parents=True)
    scores.to_parquet(path)
    return path


def draw(gain: float = 0.0, pages: int = PAGES) -> pd.DataFrame:
    """Out-of-fold and test scores; only those out of fold differ by the gain."""
    rows = []
    for subset, member, gained in (
        ("out_of_fold", "fold_0", gain),
        ("test", "fold_0", 0.0),
        ("test", "ensemble", 0.0),
    ):
        hmeans = np.random.default_rng(len(rows)).uniform(0.6, 0.9, PAGES)[:pages] + gained
        rows += [(member, subset, f"page {i}", hmean) for i, hmean in enumerate(hmeans)]
    return pd.DataFrame(rows, columns=["member", "subset", "page", "hmean"])


def lines_of(output: str, start: str) -> list[str]:
    """The lines that begin with something, with single spaces."""
    return [" ".join(line.split()) for line in output.splitlines() if line.startswith(start)]


def test_two_experiments_are_compared_in_plain_words(invoke: Invoke, tmp_path: Path) -> None:
    store(draw(), experiment="lite0")
    store(draw(0.02), experiment="convnext_tiny")
    result = invoke("--env=demo", "lite0", "convnext_tiny")
    assert result.exit_code == 0, result.output
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
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def read_catalog(project: Path, env: str | None, params: dict[str, Any]) -> dict[str, Any]:
        asked.append((project, env, params))
        path = tmp_path / f"{params['tta']}.parquet"
        draw(0.0 if params["tta"] == "none" else 0.01).to_parquet(path)
        return {"page_scores": {"type": "pandas.ParquetDataset", "filepath": str(path)}}

    monkeypatch.setattr(compare_command, "read_catalog", read_catalog)
    result = invoke("--env=demo", "lite0@flips", "lite0", "--params", "ensemble.thresholds=recipe")
    given = {"ensemble": {"thresholds": "recipe"}, "experiment": "lite0"}
    assert asked[:2] == [(PROJECT, "demo", {**given, "tta": tta}) for tta in ("flips", "none")]
    assert lines_of(result.output, "  ->")[0] == "-> lite0@flips is better than lite0"


def test_pages_that_one_lacks_are_counted_and_equal_scores_decide_nothing(invoke: Invoke) -> None:
    path = store(draw(), experiment="lite0", tta="flips")
    assert path.parent.name == "lite0@flips"
    store(draw(pages=PAGES - 1), experiment="lite0")
    result = invoke("--env=demo", "lite0", "lite0@flips")
    left_out = "left out: 1 page that only lite0@flips was judged on"
    assert lines_of(result.output, "     left out") == [left_out] * 3
    assert lines_of(result.output, "conclusion") == [
        "conclusion: lite0 and lite0@flips cannot be told apart, whatever is compared"
    ]


def test_other_thresholds_and_members_are_warned_of(invoke: Invoke) -> None:
    for params, names, source in (
        ({"experiment": "lite0", "tta": "flips"}, ["fold_0", "fold_1"], "recipe"),
        ({"experiment": "lite0"}, ["fold_0"], "tuned"),
    ):
        path = store(draw(), **params)
        chosen = {"source": source, "members": {"names": names, "mean": "probability"}}
        path.with_suffix(".json").write_text(json.dumps(chosen))
    output = invoke("--env=demo", "lite0", "lite0@flips").output
    assert "lite0: members 1, mean of probability, thresholds tuned\n" in output
    assert "lite0@flips: members 2, mean of probability, thresholds recipe\n" in output
    assert "warning: they differ in members, thresholds as well" in output


def test_a_leaderboard_of_so_many_pages_is_foretold(invoke: Invoke) -> None:
    store(draw(), experiment="lite0")
    other = draw(0.02)
    store(other[other["subset"] == "test"], experiment="convnext_tiny")
    result = invoke("--env=demo", "lite0", "convnext_tiny", "--test-pages=413")
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


def test_missing_scores_name_the_command_that_makes_them(invoke: Invoke) -> None:
    store(draw(), experiment="lite0")
    result = invoke("--env=demo", "lite0", "convnext_tiny@flips", "--params", "ensemble.folds=all")
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
        (["nope", "lite0"], "Unknown experiment 'nope'; known are"),
        (["lite0", "@flips"], "'@flips' is no name to compare; write EXPERIMENT or"),
        (["lite0", "lite0@"], "'lite0@' is no name to compare"),
        (["a@b@c", "lite0"], "'a@b@c' is no name to compare"),
        (["lite0", "x", "--params", "tta=flips"], "--params tta cannot be given"),
        (["lite0", "x", "--params", "experiment=lite0"], "--params experiment cannot be given"),
        (["lite0", "x", "--env=nowhere"], "no environment 'nowhere'"),
    ],
)
def test_what_cannot_be_compared_is_one_message(
    invoke: Invoke, arguments: list[str], message: str
) -> None:
    result = invoke("--env=demo", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_no_common_pages_are_one_message(invoke: Invoke) -> None:
    store(draw(), experiment="lite0")
    store(draw().assign(page=lambda own: "other " + own["page"]), experiment="convnext_tiny")
    result = invoke("--env=demo", "lite0", "convnext_tiny")
    assert result.exit_code == 1
    assert "judged on no two pages in common" in result.output


def test_names_that_lead_to_one_table_are_refused(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"type": "pandas.ParquetDataset", "filepath": "same.parquet"}
    monkeypatch.setattr(compare_command, "read_catalog", lambda *_: {"page_scores": entry})
    result = invoke("--env=demo", "lite0@none", "lite0")
    assert result.exit_code == 1
    assert "lite0@none and lite0 both lead to same.parquet" in result.output


def test_help_shows_examples(invoke: Invoke) -> None:
    output = invoke("--help").output
    assert "kedro compare --env=sroie lite0@flips lite0 --test-pages=413" in output
    assert "EXPERIMENT@TTA" in output


def test_the_command_needs_no_heavy_library() -> None:
    code = (
        "import sys, receipt_ocr.commands.compare\n"
        "heavy = {'torch', 'timm', 'lightning', 'cv2', 'mlflow', 'pandas'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
