"""Files that may be absent: None before they are written, themselves afterwards."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError

from receipt_ocr.datasets.optional import OptionalCSVDataset, OptionalJSONDataset


def test_absent_files_load_as_none(tmp_path: Path) -> None:
    assert OptionalJSONDataset(filepath=str(tmp_path / "a.json")).load() is None
    assert OptionalCSVDataset(filepath=str(tmp_path / "a.csv")).load() is None


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    stored = OptionalJSONDataset(filepath=str(tmp_path / "deep/a.json"))
    assert stored.load() is None
    stored.save({"thresh": 0.3})
    assert stored.load() == {"thresh": 0.3}
    table = pd.DataFrame({"epoch": [0.0, 1.0], "hmean": [0.0, 0.5]})
    csv = OptionalCSVDataset(filepath=str(tmp_path / "a.csv"), save_args={"index": False})
    csv.save(table)
    pd.testing.assert_frame_equal(csv.load(), table)


def test_a_broken_file_is_an_error_and_not_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DatasetError, match=r"a\.json"):
        OptionalJSONDataset(filepath=str(tmp_path / "a.json")).load()


def test_a_catalog_names_them_by_type(tmp_path: Path) -> None:
    catalog = DataCatalog.from_config(
        {
            "fold_{k}_history": {
                "type": "receipt_ocr.datasets.optional.OptionalCSVDataset",
                "filepath": f"{tmp_path}/fold_{{k}}.csv",
            }
        }
    )
    assert catalog.load("fold_3_history") is None
