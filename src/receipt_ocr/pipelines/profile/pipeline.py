"""Wiring of the profile."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.profile.nodes import profile_step

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """The profile of a training step."""
    return Pipeline(
        [
            Node(
                profile_step,
                ["params:experiments", "pages", "words", "raw_receipts"],
                "step_profile",
                name="profile_step",
            )
        ]
    )
