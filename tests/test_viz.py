"""What Kedro-Viz shows of the project, asked of its own server's functions."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro_viz.api.rest.responses.nodes import get_node_metadata_response
from kedro_viz.api.rest.responses.pipelines import get_pipeline_response
from kedro_viz.api.rest.responses.utils import get_encoded_response
from kedro_viz.data_access import data_access_manager
from kedro_viz.server import load_and_populate_data
from PIL import Image

from receipt_ocr.datasets.previews import CELL, SIDE, encode_picture, preview_json, preview_table
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import ChosenPostprocess

PROJECT = Path(__file__).resolve().parents[1]
LAYERS = ["01_raw", "02_intermediate", "03_primary", "06_models", "07_model_output", "08_reporting"]
FOLDS = {f"fold_{fold}" for fold in range(FOLD_COUNT)}
TABLE = pd.DataFrame({"page": ["a.png", "b.png"], "width": [90, 60]})
LONG = {f"{number}.png": {"words": [[1, 2, 3, 4]] * 50} for number in range(30)}
PICTURE = Image.new("RGB", (1200, 300), "red")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Loads the project into Kedro-Viz over an empty workspace."""
    folder = tmp_path_factory.mktemp("viz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECEIPT_OCR_WORKSPACE", str(folder))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        data_access_manager.reset_fields()
        load_and_populate_data(PROJECT, env="demo", package_name="receipt_ocr")
        yield folder
        data_access_manager.reset_fields()


@pytest.fixture
def catalog(workspace: Path) -> DataCatalog:
    return data_access_manager.catalog.get_catalog()


def read_pipeline(name: str = "__default__") -> dict[str, Any]:
    response: dict[str, Any] = json.loads(get_encoded_response(get_pipeline_response(name)))
    return response


def list_pipelines() -> list[str]:
    return [pipeline["id"] for pipeline in read_pipeline()["pipelines"]]


def read_node(name: str) -> dict[str, Any]:
    """What the panel of a dataset or node shows, as it reaches the browser."""
    node = next(n for n in data_access_manager.nodes.as_list() if n.name == name)
    content: dict[str, Any] = json.loads(get_encoded_response(get_node_metadata_response(node.id)))
    return content


def open_picture(preview: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(preview)))


def test_every_stored_dataset_stands_in_the_layer_of_its_folder(catalog: DataCatalog) -> None:
    checked = set()
    for pipeline in list_pipelines():
        for node in read_pipeline(pipeline)["nodes"]:
            if node["type"] != "data":
                continue
            dataset = catalog.get(node["name"])
            if dataset is None or isinstance(dataset, MemoryDataset):
                continue
            assert node["layer"] in LAYERS, f"{node['name']} has no layer"
            place = getattr(dataset, "_filepath", None)
            assert place is None or node["layer"] in Path(str(place)).parts, node["name"]
            checked.add(node["name"])
    assert len(checked) > 60
    assert {"raw_receipts", "folds", "fold_4_history", "scores", "report"} <= checked


def test_layers_follow_the_data_in_every_pipeline(workspace: Path) -> None:
    for name in list_pipelines():
        pipeline = read_pipeline(name)
        used = {node["layer"] for node in pipeline["nodes"] if node.get("layer")}
        assert used, name
        assert [layer for layer in pipeline["layers"] if layer in used] == sorted(used), name
    assert read_pipeline()["layers"] == LAYERS


def test_folds_and_stages_are_boxes(workspace: Path) -> None:
    default = read_pipeline()
    boxes = default["modular_pipelines"]
    assert FOLDS | {"splitting", "tuning"} <= boxes.keys()
    at_first_sight = {child["id"] for child in boxes["__root__"]["children"]}
    assert at_first_sight >= FOLDS
    tasks = {node["id"] for node in default["nodes"] if node["type"] == "task"}
    for fold in FOLDS:  # training, three kinds of maps and the choice of pages
        assert len(tasks & {child["id"] for child in boxes[fold]["children"]}) == 5
    assert read_pipeline("train")["modular_pipelines"].keys() >= FOLDS


def test_nothing_fails_before_anything_has_run(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not any(workspace.iterdir())
    for node in read_pipeline()["nodes"]:
        if node["type"] == "data":
            assert not read_node(node["name"]).get("preview"), node["name"]
    own = ["fold_0_history", "tuned_postprocess", "words", "gallery", "report", "fold_1_test_maps"]
    assert not [name for name in own if f"'{name}' could not" in caplog.text]


def make_maps() -> dict[str, Any]:
    values = np.full((120, 60), 200, dtype=np.uint8)
    return {"a.png": lambda: ProbabilityMap(values, np.eye(3), 60, 120)}


def test_tables_are_shown_with_lists_and_long_cells_as_text(catalog: DataCatalog) -> None:
    catalog.save("pages", TABLE)
    catalog.save("words", TABLE.assign(points=[np.arange(8.0), np.arange(80.0)]))
    catalog.save("fold_0_history", pd.DataFrame({"epoch": [0, 1], "hmean": [0.5, np.nan]}))
    catalog.save("submission_csv", TABLE.assign(polygons="1 2 3 4 5 6 7 8|" * 100))
    for name in ("pages", "words", "fold_0_history", "submission_csv"):
        shown = read_node(name)
        assert shown["preview_type"] == "TablePreview"
        assert len(shown["preview"]["data"]) == 2, name
    assert read_node("words")["preview"]["data"][0][2].startswith("[0.0, 1.0, 2.0")
    assert read_node("fold_0_history")["preview"]["data"][1] == [1, None]
    assert len(read_node("submission_csv")["preview"]["data"][0][2]) == CELL


def test_settings_are_shown_whole_and_detections_in_part(catalog: DataCatalog) -> None:
    chosen = ChosenPostprocess(source="recipe", postprocess=PostprocessSettings())
    catalog.save("chosen_postprocess", chosen)
    catalog.save("test_detections", LONG)
    shown = read_node("chosen_postprocess")
    assert shown["preview_type"] == "JSONPreview"
    assert json.loads(shown["preview"]) == chosen.model_dump(mode="json")
    detections = json.loads(read_node("test_detections")["preview"])
    assert list(detections) == [*list(LONG)[:10], "…"]
    assert detections["…"] == "20 more"
    assert detections["0.png"]["words"][10:] == ["… 40 more"]


def test_plots_pictures_maps_and_receipts_are_shown(catalog: DataCatalog, workspace: Path) -> None:
    from matplotlib.figure import Figure

    raw = workspace / "demo/01_raw"
    for subset in ("train", "test"):
        (raw / "images" / subset).mkdir(parents=True)
    (raw / "jsons").mkdir()
    (raw / "jsons/train.json").write_text("{}")
    Image.new("RGB", (300, 600), "white").save(raw / "images/train/a.png")
    catalog.save("search_plot", Figure())
    catalog.save("gallery", PICTURE)
    catalog.save("fold_0_out_of_fold_maps", make_maps())
    for name in ("search_plot", "gallery", "fold_0_out_of_fold_maps", "raw_receipts"):
        shown = read_node(name)
        assert shown["preview_type"] == "ImagePreview"
        assert open_picture(shown["preview"]).size > (0, 0), name
    assert open_picture(read_node("gallery")["preview"]).size == (SIDE, SIDE // 4)
    page_map = open_picture(read_node("fold_0_out_of_fold_maps")["preview"])
    assert (page_map.mode, page_map.size) == ("L", (60, 120))


def test_the_report_and_the_code_of_a_node_are_shown(catalog: DataCatalog) -> None:
    catalog.save("report", "# Report\n" + "x" * 50_000)
    shown = read_node("report")
    assert shown["preview_type"] == "TextPreview"
    assert shown["preview"].startswith("# Report\n")
    assert len(shown["preview"]) == 20_000
    assert "def read_receipts" in read_node("read_receipts")["code"]


def test_numbers_stay_numbers_and_pictures_are_never_enlarged() -> None:
    table = pd.DataFrame({"a": [1.5], "b": [True], "c": [None], "d": [np.array([1, 2])]})
    assert preview_table(table)["data"] == [[1.5, True, None, "[1, 2]"]]
    assert json.loads(preview_json([1, 2, 3], 3)) == [1, 2, 3]
    assert open_picture(encode_picture(Image.new("RGBA", (20, 10)))).size == (20, 10)
