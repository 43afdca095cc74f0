"""The workspace on an S3-compatible server: datasets, the catalog, a training in two sessions."""

import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from matplotlib.figure import Figure
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from PIL import Image

from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset
from receipt_ocr.decoding.maps import LazyMaps, ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.checkpoint import Checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.hooks import MissingInputs
from receipt_ocr.records import FinalEpochs, Record, TunedPostprocess
from receipt_ocr.settings import CONFIG_LOADER_ARGS
from receipt_ocr.training.work_folder import WorkFolder

PROJECT = Path(__file__).resolve().parents[2]
BUCKET = "receipts"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
REGION = {"AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of this module's own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system, seen through the environment as a user sets it; the bucket is empty."""
    hosts = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("NO_PROXY")]))
    environment = {**KEYS, **REGION, "AWS_ENDPOINT_URL": server, "NO_PROXY": hosts}
    for name, value in {**environment, "no_proxy": hosts}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECEIPT_OCR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # those of another environment
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    yield fsspec.filesystem("s3")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    s3_backends.reset()


def list_keys() -> list[str]:
    """What the server itself says it holds."""
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET)
    return [entry["Key"] for entry in found.get("Contents", [])]


def make_map(seed: int) -> ProbabilityMap:
    values = np.random.default_rng(seed).integers(0, 256, (20, 30), dtype=np.uint8)
    return ProbabilityMap(values, np.eye(3), width=30, height=20)


def run(*stages: str, **more: Any) -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="demo", runtime_params=more) as session:
        session.run(pipeline_names=list(stages))


def load_catalog() -> DataCatalog:
    arguments = {**CONFIG_LOADER_ARGS, "default_run_env": "demo"}
    config = OmegaConfigLoader(str(PROJECT / "conf"), env="demo", **arguments)
    return DataCatalog.from_config(config["catalog"])


@pytest.fixture
def workspace(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    del bucket
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", f"s3://{BUCKET}/ws")
    return f"{BUCKET}/ws/demo"


TUNED = TunedPostprocess(
    postprocess=PostprocessSettings(thresh=0.35),
    members=("fold_0",),
    sources={"fold_0": "fingerprint"},
    pages=3,
    chosen_hmean=0.9,
    recipe_hmean=0.8,
)


def some_data() -> dict[str, Any]:
    """Something for an entry of every type in the catalog."""
    table = pd.DataFrame({"page": ["영수증.jpg", "b.jpg"], "fold": [0, 1]})
    state = {"head.weight": torch.tensor([0.5, -3.0])}
    return {
        "folds": table,  # parquet
        "fold_balance": table,  # CSV
        "fold_3_history": table,  # CSV that may be missing
        "final_epochs": FinalEpochs(epochs=7, peaks={"fold_0": 6}),  # a record
        "tuned_postprocess": TUNED,  # a record that may be missing
        "report": "# 보고서\n",
        "gallery": Image.new("RGB", (8, 6), "red"),
        "fold_2_checkpoint": Checkpoint(Path("memory"), Recipe(), state, 4, [{"epoch": 4.0}]),
        "fold_2_test_maps": LazyMaps({"a.jpg": partial(make_map, 1)}, "fingerprint"),
        "history_plot": Figure(),
    }


@pytest.mark.usefixtures("workspace")
def test_every_type_of_entry_is_kept_in_the_bucket() -> None:
    catalog = load_catalog()
    for name, value in some_data().items():
        dataset = catalog.get(name)
        assert not dataset.exists(), name
        if getattr(dataset, "may_be_missing", False) and "maps" not in name:
            assert dataset.load() is None, name
        dataset.save(value)
        assert dataset.exists(), name
    keys = list_keys()
    assert len(keys) == len(some_data()) + 1  # a map and its index
    assert all(key.startswith("ws/demo/0") for key in keys)

    catalog = load_catalog()
    for name, value in some_data().items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(catalog.load(name), value)
        elif isinstance(value, Record | str):
            assert catalog.load(name) == value
    assert catalog.load("gallery").size == (8, 6)
    read = catalog.load("fold_2_checkpoint")
    assert read.fingerprint == some_data()["fold_2_checkpoint"].fingerprint
    maps = catalog.load("fold_2_test_maps")
    assert maps.source == "fingerprint"
    np.testing.assert_array_equal(maps["a.jpg"]().probability, make_map(1).probability)
    assert not (PROJECT / "s3:").exists()


def test_a_missing_input_names_its_address_and_command(workspace: str) -> None:
    bootstrap_project(PROJECT)
    with pytest.raises(FileNotFoundError) as caught:
        MissingInputs().before_pipeline_run({"env": "demo"}, pipelines["splitting"], load_catalog())
    message = str(caught.value)
    assert f"pages is not there yet (s3://{workspace}/02_intermediate/pages.parquet)" in message
    assert "kedro run --env=demo --pipeline=ingestion" in message


def test_credentials_of_the_catalog_reach_the_server(
    bucket: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket
    for name in [*KEYS, "AWS_ENDPOINT_URL"]:
        monkeypatch.delenv(name)
    credentials = {
        "key": "testing",
        "secret": "testing",
        "client_kwargs": {"endpoint_url": server},
    }
    dataset = ProbabilityMapsDataset(filepath=f"s3://{BUCKET}/maps", credentials=credentials)
    dataset.save({"a.jpg": partial(make_map, 1)})
    assert dataset.exists()
    entry = {"type": "receipt_ocr.datasets.checkpoints.CheckpointDataset"}
    path = {"filepath": f"s3://{BUCKET}/fold_0.ckpt", "credentials": "s3"}
    catalog = DataCatalog.from_config({"checkpoint": {**entry, **path}}, {"s3": credentials})
    catalog.save("checkpoint", some_data()["fold_2_checkpoint"])
    assert catalog.exists("checkpoint")
    assert catalog.load("checkpoint").epoch == 4


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_named() -> None:
    maps = ProbabilityMapsDataset(filepath="s3://nowhere/maps")
    assert not maps.exists()
    with pytest.raises(FileNotFoundError, match=r"s3://nowhere/maps: .*bucket does not exist"):
        maps.save({"a.jpg": partial(make_map, 1)})
    with pytest.raises(FileNotFoundError, match=r"s3://nowhere/fold_0: .*bucket does not exist"):
        WorkFolder("s3://nowhere/fold_0").fetch()


SMALL = {
    "synthesis": {"train": 6, "holdout": 1, "test": 1},
    "experiments": {
        "recipe": {
            "network": {"pretrained": False, "inner_channels": 16, "output_channels": 8},
            "frame": {"sizes": [{"epoch": 0, "size": 96}], "crop": [96, 96]},
            "training": {"epochs": 1, "threads": 1, "batch_size": 2},
        }
    },
}


def test_a_fold_is_trained_in_the_bucket_and_goes_on_from_another_machine(
    workspace: str,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tracking_uri: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    run("synthesis", "ingestion", "splitting", "train_fold", fold=1, **SMALL)
    models = f"{workspace}/06_models/lite0"
    bucket.invalidate_cache()
    history = pd.read_csv(f"s3://{models}/fold_1_history.csv")
    assert len(history) == 1
    published = sorted(name.rpartition("/")[2] for name in bucket.ls(f"{models}/fold_1"))
    assert published[0].startswith("epoch=00")
    assert published[1:] == ["finished.json", "last.ckpt", "settings.json"]
    assert not (PROJECT / "s3:").exists()

    # A machine that has nothing but the address: what is finished is not trained again.
    monkeypatch.setenv("RECEIPT_OCR_CACHE", str(tmp_path / "another machine"))
    before = bucket.info(f"{models}/fold_1/last.ckpt")["ETag"]
    run("train_fold", fold=1, **SMALL)
    bucket.invalidate_cache()
    assert bucket.info(f"{models}/fold_1/last.ckpt")["ETag"] == before
    pd.testing.assert_frame_equal(pd.read_csv(f"s3://{models}/fold_1_history.csv"), history)
