"""Whose an entry of the catalog is: all experiments', a detector's, or one experiment's results.

The record of which run wrote an entry lies with whose the entry is, so that whoever reads the entry
finds the record of its latest writing.
"""

__all__ = ["OF_TRAINING", "SHARED", "name_owner"]

SHARED = (
    *("raw_receipts", "pages", "words", "rejected"),
    *("folds", "fold_balance", "fold_balance_plot"),
    *("submissions", "submission_records", "leaderboard_records"),
    *("check_findings", "check_picture"),
)
"""Entries that all experiments have in common."""

OF_TRAINING = ("checkpoint", "history", "training_record", "final_epochs")
"""Ends of the names of entries that belong to a detector, however pages are looked at."""


def name_owner(entry: str, experiment: str) -> str:
    """Folder of the reports that the record of an entry lies below.

    Args:
        entry: Its name in the catalog; with its fold, where it has one.
        experiment: Name, or ``name@augmentation``.

    Returns:
        The experiment, its name without the augmentation, or nothing for what all share.
    """
    if entry in SHARED:
        return ""
    return experiment.partition("@")[0] if entry.endswith(OF_TRAINING) else experiment
