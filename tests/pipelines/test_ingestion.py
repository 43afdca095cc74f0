"""Ingestion and splitting as Kedro runs them, on a small folder."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset

from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.pipelines import ingestion, splitting, synthesis
from receipt_ocr.receipts.settings import FOLD_COUNT, IngestionSettings, SplittingSettings
from receipt_ocr.synthesis.settings import SynthesisSettings
from tests.raw_receipts import WORD, write_raw

WILD = np.array(WORD["points"])
TABLES = ("pages", "words", "rejected", "folds")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder without the truth of its test page; page 0 has a word that lies far outside."""
    folder = write_raw(tmp_path / "raw", train=6, test=1)
    (folder / "jsons/test.json").unlink()
    content = json.loads((folder / "jsons/train.json").read_text())
    content["images"]["train_0.png"]["words"]["2"] = {"points": (WILD + 900).tolist()}
    (folder / "jsons/train.json").write_text(json.dumps(content))
    return folder


def make_catalog(folder: Path) -> DataCatalog:
    """The raw folder, default settings, and tables stored beside the folder."""
    stored = folder.parent
    balance = str(stored / "fold_balance.csv")
    return DataCatalog(
        {
            "raw_receipts": ReceiptFolderDataset(filepath=str(folder)),
            "params:ingestion": MemoryDataset(IngestionSettings()),
            "params:splitting": MemoryDataset(SplittingSettings()),
            "params:synthesis": MemoryDataset(SynthesisSettings(train=6, holdout=1, test=2)),
            **{name: ParquetDataset(filepath=str(stored / f"{name}.parquet")) for name in TABLES},
            "fold_balance": CSVDataset(filepath=balance, save_args={"index": False}),
            "fold_balance_plot": MatplotlibDataset(filepath=str(stored / "fold_balance.png")),
        }
    )


def run(pipeline: Pipeline, folder: Path) -> DataCatalog:
    catalog = make_catalog(folder)
    SequentialRunner().run(pipeline, catalog)
    return catalog


def test_a_raw_folder_becomes_tables_and_folds(raw: Path, tmp_path: Path) -> None:
    made = run(ingestion.create_pipeline() + splitting.create_pipeline(), raw)
    assert made.load("pages")["subset"].value_counts().to_dict() == {"train": 6, "test": 1}
    words = made.load("words")
    assert words["page"].tolist() == [f"train_{index}.png" for index in range(6)]
    assert words["polygon"][0].tolist() == np.ravel(WORD["points"]).tolist()
    assert made.load("rejected")[["page", "word", "reason"]].to_numpy().tolist() == [
        ["train_0.png", "2", "outside_page"]
    ]
    folds = made.load("folds")
    assert sorted(folds["page"]) == [f"train_{index}.png" for index in range(6)]
    assert set(folds["fold"]) == set(range(FOLD_COUNT))
    balance = made.load("fold_balance")
    assert balance["fold"].tolist() == ["0", "1", "2", "3", "4", "all"]
    assert sorted(balance["pages"]) == [1, 1, 1, 1, 2, 6]
    assert cv2.imread(str(tmp_path / "fold_balance.png")) is not None


def test_synthesis_feeds_ingestion(tmp_path: Path) -> None:
    run(synthesis.create_pipeline(), tmp_path / "drawn")
    made = run(ingestion.create_pipeline(), tmp_path / "drawn")
    assert made.load("pages")["subset"].tolist() == ["train"] * 6 + ["holdout"] + ["test"] * 2
    assert made.load("rejected").empty


def test_a_missing_folder_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--pipeline=synthesis"):
        run(ingestion.create_pipeline(), tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"images": {}}'])
def test_a_broken_json_writes_nothing(raw: Path, text: str) -> None:
    (raw / "jsons/train.json").write_text(text)
    with pytest.raises(ValueError, match=r"train\.json"):
        run(ingestion.create_pipeline(), raw)
    assert list(raw.parent.iterdir()) == [raw]
