"""The part of a report on precision and recall: is more missed, or more invented?"""

import pandas as pd

from receipt_ocr.analysis.bootstrap import compare_paired
from receipt_ocr.analysis.comparisons import ALL_FOLDS, own_folds
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import ENSEMBLE
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    format_score,
    format_signed,
    format_table,
    name_sources,
)

__all__ = ["write_balance"]

SUBSETS = (("out_of_fold", ALL_FOLDS), ("holdout", ENSEMBLE), ("test", ENSEMBLE))


def write_balance(results: Results) -> str:
    """The section in Markdown; empty where nothing was scored on two pages or more."""
    rows = []
    for subset, member in SUBSETS:
        own = _pages_of(results, subset, member)
        if len(own) < 2:
            continue
        precision, recall = (own[name].to_numpy(float) for name in ("precision", "recall"))
        found = compare_paired(precision, recall)
        verdict = {
            "better": say("more is missed than invented"),
            "worse": say("more is invented or joined than missed"),
            "cannot be told apart": say("balanced"),
        }[found.verdict]
        rows.append(
            (
                say(subset.replace("_", "-")),
                say(member),
                found.pages,
                format_score(precision.mean()),
                format_score(recall.mean()),
                format_signed(found.difference),
                f"{format_signed(found.low)} {say('to')} {format_signed(found.high)}",
                verdict,
            )
        )
    if not rows:
        return ""
    header = [say("pages of"), say("member"), say("pages"), "P", "R", "P - R"]
    return "\n\n".join(
        [
            say("## Precision and recall"),
            format_table([*header, say("95 % interval"), say("verdict")], rows, left=2),
            _advise(results),
            name_sources("page_scores"),
        ]
    )


def _advise(results: Results) -> str:
    if results.is_tuned:
        return say(
            "The thresholds are tuned: where H-mean is highest need not be where both are equal."
        )
    return say(
        "Higher `thresh` and `box_thresh` give precision for recall; H-mean is highest near "
        "balance, so a clear side is a hint for tuning."
    )


def _pages_of(results: Results, subset: str, member: str) -> pd.DataFrame:
    own = results.page_scores[results.page_scores["subset"] == subset]
    if member == ALL_FOLDS:
        return own_folds(own)
    return own[own["member"] == member]
