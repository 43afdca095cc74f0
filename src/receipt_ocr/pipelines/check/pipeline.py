"""Tables and settings -> findings, and a picture of a page's way to its targets and back."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.check.nodes import (
    collect_findings,
    inspect_data,
    inspect_targets,
    overfit_one_page,
)

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """The check stage."""
    recipe, pages, words, images = "params:experiments", "pages", "words", "raw_receipts"
    return Pipeline(
        [
            Node(
                inspect_data,
                [pages, words, "rejected", recipe],
                "data_findings",
                name="inspect_data",
            ),
            Node(
                inspect_targets,
                [pages, words, images, recipe],
                ["target_findings", "check_picture"],
                name="inspect_targets",
            ),
            Node(
                overfit_one_page,
                [pages, words, images, recipe],
                "overfit_findings",
                name="overfit_one_page",
            ),
            Node(
                collect_findings,
                ["data_findings", "target_findings", "overfit_findings"],
                "check_findings",
                name="collect_findings",
            ),
        ]
    )
