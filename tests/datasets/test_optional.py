"""Files that may be absent: None before they are written, themselves afterwards."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from receipt_ocr.datasets.optional import (
    OptionalCSVDataset,
    OptionalJSONDataset,
    OptionalParquetDataset,
)

TABLE = pd.DataFrame({"epoch": [0.0, 1.0], "hmean": [0.0, 0.5]})


def test_a_file_is_none_before_it_was_saved_and_itself_afterwards(tmp_path: Path) -> None:
    json = OptionalJSONDataset(filepath=str(tmp_path / "deep/a.json"))
    assert json.load() is None
    json.save({"thresh": 0.3})
    assert json.load() == {"thresh": 0.3}
    for kind, save_args in ((OptionalCSVDataset, {"index": False}), (OptionalParquetDataset, {})):
        table: Any = kind(filepath=str(tmp_path / kind.__name__), save_args=save_args)
        assert table.load() is None
        table.save(TABLE)
        pd.testing.assert_frame_equal(table.load(), TABLE)


def test_a_broken_file_is_an_error_and_not_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DatasetError, match=r"a\.json"):
        OptionalJSONDataset(filepath=str(tmp_path / "a.json")).load()
