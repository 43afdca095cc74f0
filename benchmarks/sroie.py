"""The real receipts, where they lie beside the project, and the recipes of the environments."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from kedro.config import OmegaConfigLoader

from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.settings import CONFIG_LOADER_ARGS

PROJECT = Path(__file__).resolve().parents[1]


def has_receipts(sroie: Path) -> bool:
    """Whether a folder holds the receipts in the competition's layout."""
    return all((sroie / "jsons" / f"{subset}.json").is_file() for subset in ("train", "test"))


def read_experiments(environment: str) -> Experiments:
    """The experiments of an environment."""
    arguments: dict[str, Any] = dict(CONFIG_LOADER_ARGS)
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env=environment, **arguments)
    return Experiments.model_validate(loader["parameters"]["experiments"])


def read_recipe() -> Recipe:
    """The recipe that ``conf/sroie`` selects."""
    return read_experiments("sroie").chosen


def read_pages(sroie: Path, subset: str) -> list[LabelledPage]:
    """Labelled pages of a subset, in the order of its file."""
    images: dict[str, Any] = json.loads((sroie / "jsons" / f"{subset}.json").read_text())["images"]
    return [
        LabelledPage(
            name=name,
            path=next((sroie / "images").rglob(name)),
            width=page["img_w"],
            height=page["img_h"],
            polygons=[np.array(w["points"], dtype=np.float64) for w in page["words"].values()],
            ignored=[False] * len(page["words"]),
        )
        for name, page in images.items()
    ]
