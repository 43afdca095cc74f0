"""An MLflow database, and folds' runs that no other test has noted."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from receipt_ocr.tracking.runs import FOLD_RUNS


@pytest.fixture(autouse=True)
def no_folds_of_other_tests() -> Iterator[None]:
    FOLD_RUNS.clear()
    yield
    FOLD_RUNS.clear()


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("receipts")  # another test may have left one of its own database
    return MlflowClient(tracking_uri)


@pytest.fixture
def mlflow_experiment(client: MlflowClient) -> str:
    """Id of the MLflow experiment that all runs lie in."""
    return str(client.get_experiment_by_name("receipts").experiment_id)
