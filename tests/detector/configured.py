"""The experiments that the configuration holds, read without Kedro."""

from pathlib import Path
from typing import Any

import yaml

from receipt_ocr.detector.settings import Experiments

CONF = Path(__file__).resolve().parents[2] / "conf"


def read_block(environment: str) -> dict[str, Any]:
    """The block ``experiments`` of one environment as it is written, recipe and variants."""
    block: dict[str, Any] = {}
    for file in (CONF / environment).glob("parameters*.yml"):
        block |= yaml.safe_load(file.read_text(encoding="utf-8")).get("experiments", {})
    return block


def read_experiments(environment: str = "base", selected: str = "convnext_tiny") -> Experiments:
    """The experiments of an environment, whose values are laid over those of the base."""
    block, own = read_block("base"), read_block(environment)
    block["recipe"]["training"].pop("resume", None)  # a run fills it in
    block["variants"].update(own["variants"])
    for part, values in own["recipe"].items():
        known = {key: value for key, value in values.items() if key != "resume"}
        block["recipe"].setdefault(part, {}).update(known)
    return Experiments.model_validate({**block, "selected": selected})
