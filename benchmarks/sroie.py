"""The real receipts and the recipe of the SROIE environment, where they lie beside the project."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from kedro.config import OmegaConfigLoader

from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.settings import CONFIG_LOADER_ARGS

__all__ = ["has_receipts", "read_pages", "read_recipe"]


def has_receipts(sroie: Path) -> bool:
    """Whether a folder holds the receipts in the competition's layout."""
    return all((sroie / "jsons" / f"{subset}.json").is_file() for subset in ("train", "test"))


def read_recipe(project: Path) -> Recipe:
    """The recipe that ``conf/sroie`` selects."""
    loader = OmegaConfigLoader(
        str(project / "conf"), env="sroie", **cast(dict[str, Any], CONFIG_LOADER_ARGS)
    )
    return Experiments.model_validate(loader["parameters"]["experiments"]).chosen


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
