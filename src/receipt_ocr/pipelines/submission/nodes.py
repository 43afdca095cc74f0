"""Nodes of the submission stage."""

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.identity import Member

if TYPE_CHECKING:
    from receipt_ocr.datasets.experiments import ExperimentStore
else:  # Kedro reads the signatures to check parameters
    ExperimentStore = Any

__all__ = ["format_submission", "register_final", "register_submission"]

FINAL = "final"

UNREAD = ("image_missing", "image_unreadable")

log = logging.getLogger(__name__)


def format_submission(
    detections: dict[str, list[list[float]]], pages: pd.DataFrame, rejected: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The contest's JSON and CSV, checked: every test page once, every polygon valid."""
    from receipt_ocr.contest.submission import (
        build_submission,
        check_submission,
        tabulate_submission,
    )

    test = pages[pages["subset"] == "test"]
    sizes = {
        str(page): (int(width), int(height))
        for page, width, height in zip(test["page"], test["width"], test["height"], strict=True)
    }
    polygons = {page: [np.reshape(flat, (-1, 2)) for flat in w] for page, w in detections.items()}
    # The contest asks for every test page, also for one whose image is missing or broken.
    is_unread = (rejected["subset"] == "test") & rejected["reason"].isin(UNREAD)
    unread = [str(page) for page in rejected.loc[is_unread, "page"] if page not in sizes]
    sizes |= dict.fromkeys(unread, (1, 1))
    polygons |= {page: [] for page in unread}
    submission = build_submission(polygons, sizes)
    check_submission(submission, sizes)
    words = sum(len(entry["words"]) for entry in submission["images"].values())
    log.info("Submission: %d pages, %d polygons", len(sizes), words)
    return submission, tabulate_submission(submission)


def register_submission(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    table: pd.DataFrame,
    experiments: Experiments,
    tta: TtaVariants,
    chosen: dict[str, Any],
    scores: pd.DataFrame,
    others: ExperimentStore,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]]:
    """A copy named after its content, and the record of who made it."""
    own = tta.name_variant(experiments.selected)
    voting = chosen["members"]
    members = []
    for name, weight in zip(voting["names"], voting["weights"], strict=True):
        member = Member.parse(name)
        experiment = str(member.source or own)
        members.append(
            {
                "name": name,
                "experiment": experiment,
                "fold": member.fold,
                "weight": weight,
                "run_id": others.training_run(experiment, member.fold),
            }
        )
    return _register(table, own, members, chosen, scores)


def register_final(
    table: pd.DataFrame,
    experiments: Experiments,
    tta: TtaVariants,
    chosen: dict[str, Any],
    others: ExperimentStore,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]]:
    """The same of the detector of all labelled pages, of which nothing is known beforehand."""
    own = tta.name_variant(experiments.selected)
    record = others.run_record(experiments.selected, "final_checkpoint") or {}
    member = {"experiment": own, "fold": None, "weight": 1.0, "run_id": record.get("run_id")}
    return _register(table, own, [{"name": FINAL, **member}], chosen, None)


def _register(
    table: pd.DataFrame,
    experiment: str,
    members: list[dict[str, Any]],
    chosen: dict[str, Any],
    scores: pd.DataFrame | None,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]]:
    from receipt_ocr.contest.leaderboard import describe_submission
    from receipt_ocr.contest.submission import identify_submission

    name = identify_submission(table)
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    record = {"made": made} | describe_submission(name, experiment, members, chosen, scores)
    log.info(
        "Submission %s: submission_%s.csv; record its score with --pipeline=leaderboard --params "
        '"submission=%s,hmean=...,precision=...,recall=..."',
        *(name, name, name),
    )
    return {f"submission_{name}": table}, {name: record}
