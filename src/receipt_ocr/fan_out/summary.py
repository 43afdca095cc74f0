"""How all folds ended, as a table for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from receipt_ocr.fan_out.schedule import Outcome

__all__ = ["tabulate_outcomes"]

HEADINGS = ("experiment", "fold", "status", "min", "H-mean", "epoch", "log")


def tabulate_outcomes(outcomes: Sequence[Outcome], project: Path) -> list[str]:
    """A line a fold, and below those that failed the message of their last failure.

    Args:
        outcomes: Of all folds.
        project: Folder that the logs' paths are shown from, where they lie in it.
    """
    rows = [HEADINGS, *(_row(outcome, project) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row, outcome in zip(rows, [None, *outcomes], strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
        if outcome is not None and outcome.message and outcome.status != "trained":
            lines.append(f"    {outcome.message}")
    return lines


def _row(outcome: Outcome, project: Path) -> tuple[str, ...]:
    log = outcome.fold.log
    return (
        outcome.fold.experiment,
        str(outcome.fold.number),
        _describe(outcome),
        f"{outcome.seconds / 60:.1f}",
        "-" if outcome.hmean is None else f"{outcome.hmean:.4f}",
        "-" if outcome.epoch is None else str(outcome.epoch),
        str(log.relative_to(project) if log.is_relative_to(project) else log),
    )


def _describe(outcome: Outcome) -> str:
    tries = f"{outcome.tries} {'try' if outcome.tries == 1 else 'tries'}"
    if outcome.status == "failed":
        return f"failed after {tries}"
    if outcome.status == "trained" and outcome.tries > 1:
        return f"trained in {tries}"
    return outcome.status
