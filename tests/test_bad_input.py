"""Bad input through the command line: one message, exit code 1, and result files as they were."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project
from PIL import Image

from receipt_ocr.cli import cli

PROJECT = Path(__file__).resolve().parents[1]
WORD = {"points": [[5, 5], [40, 5], [40, 20], [5, 20]]}


class Shell:
    """The command line in a place of its own: receipts under ``raw``, results under ``results``."""

    def __init__(self, place: Path) -> None:
        self.project = PROJECT
        self.raw = place / "raw"
        self.results = place / "results" / "sroie"

    def call(self, command: str) -> Result:
        obj = SimpleNamespace(project_path=self.project)
        return CliRunner().invoke(cli, command.split(), obj=obj)

    def fail(self, command: str, *parts: str) -> None:
        """Check that the command ends in one message with these parts, and writes nothing."""
        before = self.list_results()
        result = self.call(command)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit), result.exc_info
        assert result.output.startswith("Error: ")
        assert result.output.count("Error: ") == 1
        assert "Traceback" not in result.output
        for part in parts:
            assert part in result.output
        assert self.list_results() == before

    def list_results(self) -> dict[Path, bytes]:
        files = self.results.parent.rglob("*")
        return {file: file.read_bytes() if file.is_file() else b"" for file in files}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str) -> Shell:
    made = Shell(tmp_path)
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(made.results.parent))
    monkeypatch.setenv("RECEIPT_OCR_SROIE", str(made.raw))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    monkeypatch.chdir(PROJECT)
    bootstrap_project(PROJECT)
    return made


def no_folder(shell: Shell) -> None:
    pass


def two_pages(shell: Shell) -> None:
    """A train page and a test page, and the tables of an earlier run."""
    for subset in ("train", "test"):
        (shell.raw / "images" / subset).mkdir(parents=True)
        Image.new("RGB", (48, 64), "white").save(shell.raw / f"images/{subset}/{subset}.png")
    (shell.raw / "jsons").mkdir()
    content = {"images": {"train.png": {"words": {"1": WORD}}}}
    (shell.raw / "jsons/train.json").write_text(json.dumps(content))
    for table in ("02_intermediate/pages", "02_intermediate/words", "03_primary/folds"):
        file = shell.results / f"{table}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"page": ["train.png"], "fold": [0]}).to_parquet(file)


def no_json(shell: Shell) -> None:
    two_pages(shell)
    (shell.raw / "jsons/train.json").unlink()


def json_of(text: str) -> Callable[[Shell], None]:
    def prepare(shell: Shell) -> None:
        two_pages(shell)
        (shell.raw / "jsons/train.json").write_text(text)

    return prepare


INGEST = "run --env=sroie --pipeline=ingestion"
TRAIN = "run --env=sroie --pipeline=train_fold --params "


@pytest.mark.parametrize(
    ("prepare", "command", "parts"),
    [
        (no_folder, INGEST, ["raw_receipts", "/raw)", "RECEIPT_OCR_SROIE", "--params raw_folder="]),
        (no_folder, "check --env=sroie", ["raw_receipts", "/raw)", "RECEIPT_OCR_SROIE"]),
        (no_json, INGEST, ["no file", "jsons/train.json", "must hold", "RECEIPT_OCR_SROIE"]),
        (json_of(""), INGEST, ["jsons/train.json is no valid JSON", "must hold"]),
        (json_of('{"images": {}}'), INGEST, ["jsons/train.json", "one page or more", "must hold"]),
        (json_of("[]"), INGEST, ["jsons/train.json", "must be an object, got []", "must hold"]),
        (
            json_of('{"images": {"train.png": []}}'),
            INGEST,
            ["jsons/train.json", "'train.png' must be an object", "must hold"],
        ),
        (two_pages, TRAIN + "fold=9", ["fold must be a whole number from 0 to 4, got 9"]),
        (two_pages, TRAIN + "experiment=nope", ["unknown experiment 'nope'; known are", "lite0"]),
        (
            two_pages,
            TRAIN + "experiments.recipe.training.epochs=abc",
            ["recipe.training.epochs", "valid integer", "abc"],
        ),
        (two_pages, TRAIN + "fold=[", ["did not find", "the --params that lead there"]),
        (two_pages, TRAIN + "experiment=${nope:1}", ["nope", "the --params that lead there"]),
        (
            no_folder,
            TRAIN + "fold=1",
            [
                "folds is not there yet",
                "sroie/03_primary/folds.parquet",
                "kedro run --env=sroie --pipeline=splitting --params fold=1\n",
            ],
        ),
        (
            two_pages,
            "run --env=sroie --pipeline=detection --params fold=1,detection.images=photos",
            [
                "checkpoint is not there yet",
                "/fold_1.ckpt)",
                "--pipeline=train_fold --params fold=1,detection.images=photos\n",
            ],
        ),
    ],
)
def test_bad_input_ends_in_one_message(
    shell: Shell,
    caplog: pytest.LogCaptureFixture,
    prepare: Callable[[Shell], None],
    command: str,
    parts: list[str],
) -> None:
    prepare(shell)
    shell.fail(command, *parts)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "command", ["run", "check", "summary", "experiments", "compare one another", "train-folds"]
)
def test_an_unknown_environment_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # Without this variable MLflow would look for its address in the missing folder.
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    shell.fail(f"{command} --env=nope", "no environment 'nope' in", "base, demo, local, sroie")


@pytest.mark.parametrize("command", ["run --conf-source={conf}", "check", "summary"])
def test_a_broken_configuration_file_is_named(shell: Shell, tmp_path: Path, command: str) -> None:
    shell.project = tmp_path / "project"
    conf = shell.project / "conf"
    shutil.copytree(PROJECT / "conf", conf)
    (conf / "sroie/catalog.yml").write_text("pages:\n  type: [pandas\n")
    shell.fail(
        f"{command.format(conf=conf)} --env=sroie", "sroie/catalog.yml", "Correct that place"
    )


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_one_broken_image_is_rejected_and_the_others_are_used(shell: Shell, content: bytes) -> None:
    two_pages(shell)
    (shell.raw / "images/train/broken.png").write_bytes(content)
    pages = {name: {"words": {"1": WORD}} for name in ("broken.png", "train.png")}
    (shell.raw / "jsons/train.json").write_text(json.dumps({"images": pages}))
    result = shell.call(INGEST)
    assert result.exit_code == 0, result.output
    tables = {
        name: pd.read_parquet(shell.results / f"02_intermediate/{name}.parquet")
        for name in ("pages", "rejected")
    }
    assert tables["pages"]["page"].tolist() == ["train.png", "test.png"]
    assert tables["rejected"][["page", "reason"]].to_numpy().tolist() == [
        ["broken.png", "image_unreadable"]
    ]


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_broken_images_alone_are_an_error(shell: Shell, content: bytes) -> None:
    two_pages(shell)
    (shell.raw / "images/train/train.png").write_bytes(content)
    shell.fail(INGEST, "no usable train page", "image_unreadable 1", "copy it again")
