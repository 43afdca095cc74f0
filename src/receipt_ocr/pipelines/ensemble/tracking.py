"""MLflow figures of an ensemble."""

from collections.abc import Callable, Sequence

import pandas as pd

from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.tracking.layout import is_tracked
from receipt_ocr.tracking.runs import log_active, log_experiment, log_figures


def log_scores(
    experiment: ExperimentId,
    members: Sequence[str],
    scores: pd.DataFrame,
    find_run: Callable[[str, int], str | None],
) -> None:
    """Write scores into the active run, the experiment's run and those of its folds, as columns.

    Members of other experiments keep the figures that theirs has given them, and the folds' runs
    those of pages without test-time augmentation.
    """
    from receipt_ocr.analysis.scores import list_hmeans

    if not is_tracked():
        return
    figures = list_hmeans(scores, "ensemble")
    log_active(figures)
    log_experiment(str(experiment), figures)
    for member in map(Member.parse, members) if experiment.is_plain else ():
        if member.source in {None, experiment}:
            run_id = find_run(str(experiment), member.fold)
            if run_id is not None:
                log_figures(run_id, list_hmeans(scores, str(member)))
