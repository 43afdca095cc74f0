"""MLflow figures and log line of a submission's score."""

import logging

from receipt_ocr.records import LeaderboardScore
from receipt_ocr.tracking.layout import is_tracked
from receipt_ocr.tracking.runs import log_active, log_experiment, log_figures, place_score

log = logging.getLogger(__name__)


def log_score(score: LeaderboardScore) -> None:
    """Write a score with its gaps into the active run, the experiment's, and those of members."""
    from receipt_ocr.contest.leaderboard import list_figures, name_figures

    own = name_figures(score, score)
    place_score(score.experiment)
    log_active(own)
    log_experiment(score.experiment, own)
    voting = list_figures(score) if is_tracked() else ()
    told = [log_figures(run, figures) for run, figures in voting if run]
    known = {"to validation": score.gap, "to holdout": score.holdout_gap}
    gaps = ", ".join(f"{name} {gap:+.4f}" for name, gap in known.items() if gap is not None)
    log.info(
        "Submission %s of %s: %s H-mean %.4f; gap %s; written to %d of %d runs",
        *(score.submission, score.experiment, score.source, score.hmean),
        *(gaps or "unknown", sum(told), len(score.members)),
    )
