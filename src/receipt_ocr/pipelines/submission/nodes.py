"""Nodes of the submission stage."""

import logging
from typing import Any

import pandas as pd

from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.records import ChosenPostprocess, SubmissionMember, SubmissionRecord

log = logging.getLogger(__name__)

# A copy named after its content, and the record of who made it.
Registered = tuple[dict[str, pd.DataFrame], dict[str, SubmissionRecord]]


def format_submission(
    detections: dict[str, list[list[float]]], pages: pd.DataFrame, rejected: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The contest's JSON and CSV, checked: every test page once, every polygon valid."""
    from receipt_ocr.contest import submission

    built = submission.build_from_tables(detections, pages, rejected)
    words = sum(len(entry["words"]) for entry in built["images"].values())
    log.info("Submission: %d pages, %d polygons", len(built["images"]), words)
    return built, submission.tabulate_submission(built)


def register_submission(
    table: pd.DataFrame,
    experiments: Experiments,
    tta: TtaVariants,
    chosen: ChosenPostprocess,
    scores: pd.DataFrame,
    stored: ExperimentStore,
) -> Registered:
    """Keep a copy of the ensemble's submission, with who made it and what was known of them."""
    from receipt_ocr.contest.leaderboard import describe_members

    own = tta.name_variant(experiments.selected)
    members = describe_members(chosen, own, stored.training_run, scores)
    return _register(table, own, members, chosen, scores)


def register_final(
    table: pd.DataFrame,
    experiments: Experiments,
    tta: TtaVariants,
    chosen: ChosenPostprocess,
    stored: ExperimentStore,
) -> Registered:
    """Keep a copy of the final fit's submission, of which nothing is known beforehand."""
    own = tta.name_variant(experiments.selected)
    training = stored.run_record(experiments.selected, "final_checkpoint")
    member = SubmissionMember.final(own, None if training is None else training.run_id)
    return _register(table, own, [member], chosen, None)


def _register(
    table: pd.DataFrame,
    experiment: str,
    members: list[SubmissionMember],
    chosen: ChosenPostprocess,
    scores: pd.DataFrame | None,
) -> Registered:
    from receipt_ocr.contest.leaderboard import describe_submission
    from receipt_ocr.contest.submission import identify_submission

    name = identify_submission(table)
    record = describe_submission(name, experiment, members, chosen, scores)
    log.info(
        "Submission %s: submission_%s.csv; record its score with --pipeline=leaderboard --params "
        '"submission=%s,hmean=...,precision=...,recall=..."',
        *(name, name, name),
    )
    return {f"submission_{name}": table}, {name: record}
