"""The first sentences of a report: what was reached, and which number to believe."""

from receipt_ocr.evaluation.markdown import format_score, format_signed, join_words
from receipt_ocr.evaluation.report_tables import compare_members, judging_subset, tabulate_folds
from receipt_ocr.evaluation.results import Results
from receipt_ocr.evaluation.uncertainty import bootstrap_mean

__all__ = ["name_ensemble", "summarise"]

FEW_PAGES = 30
"""With fewer pages a bootstrap interval comes out clearly too narrow."""


def summarise(results: Results) -> list[str]:
    """Three to five plain sentences."""
    sentences = [_state_score(results), _state_comparison(results), _state_trust(results)]
    sentences += [_state_gap(results), _state_lack(results)]
    return [sentence for sentence in sentences if sentence]


def name_ensemble(results: Results) -> str:
    """The ensemble with its members, as the subject of a sentence."""
    if len(results.members) == 1:
        alone = f"fold {results.folds[0]}" if results.folds else results.members[0]
        return f"The ensemble, which is {alone} alone,"
    if results.guests:
        return f"The ensemble of {join_words(results.members)}"
    return f"The ensemble of folds {join_words([str(fold) for fold in results.folds])}"


def _state_score(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return (
            f"{name_ensemble(results)} has no score: the truth of the test pages is withheld and "
            "there is no holdout."
        )
    hmeans = results.hmeans(subset)
    where = f"the {len(hmeans)} {subset} pages" if len(hmeans) > 1 else f"the one {subset} page"
    text = f"{name_ensemble(results)} scores a page-mean H-mean of {format_score(hmeans.mean())} "
    text += f"on {where}"
    if len(hmeans) > 1:
        found = bootstrap_mean(hmeans.to_numpy())
        text += f" (95 % interval {format_score(found.low)} to {format_score(found.high)})"
    alone = [results.hmeans(subset, member).mean() for member in results.members]
    if len(alone) > 1:
        text += f"; its members alone score {min(alone):.4f} to {max(alone):.4f}"
    return f"{text}."


def _state_comparison(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return ""
    table = compare_members(results.page_scores, subset)
    if table.empty:
        return ""
    best, mean = table.iloc[0], table.iloc[1]
    return (
        f"On these pages it {_say(best['verdict'])} the {best['opponent']} "
        f"({format_signed(best['difference'])}), and {_say(mean['verdict'])} the mean fold "
        f"({format_signed(mean['difference'])})."
    )


def _say(verdict: str) -> str:
    return f"{verdict} from" if verdict == "cannot be told apart" else f"is {verdict} than"


def _state_trust(results: Results) -> str:
    if results.chosen_postprocess["source"] == "holdout":
        return (
            "The holdout pages chose the thresholds, so their scores are too good, and so is every "
            "comparison on them; trust the out-of-fold scores, whose pages chose the epochs only, "
            "or a leaderboard."
        )
    if results.has_truth("holdout"):
        hmean = format_score(results.hmeans("holdout").mean())
        return (
            f"The score to trust is the holdout's, {hmean}: its pages chose nothing, neither an "
            "epoch nor a threshold; the out-of-fold scores are a little too good, because their "
            "pages did."
        )
    hmean = format_score(_fold_figures(results, "mean of folds")["hmean"])
    on_average = " on average" if len(results.members) > 1 else ""
    text = (
        "There is no holdout, so the score to trust is the out-of-fold one, "
        f"{hmean}{on_average}, though it is a little "
        "too good: its pages chose each fold's best epoch"
    )
    if results.chosen_postprocess["source"] == "tuned":
        text += f" and the thresholds{_optimism(results)}"
    if results.has_truth("test"):
        text += "; the test score is as honest only as long as nothing is chosen by it"
    return f"{text}."


def _optimism(results: Results) -> str:
    tuned = results.tuned_postprocess or {}
    if tuned.get("honest_hmean") is None:
        return ""
    return f", which flatters it by {tuned['chosen_hmean'] - tuned['honest_hmean']:.4f}"


def _state_gap(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return ""
    average = _fold_figures(results, "mean of folds")
    gap = average[f"{subset}_hmean"] - average["hmean"]
    folds = "fold's" if len(results.members) == 1 else "folds'"
    if round(gap, 4) == 0:
        return f"The {folds} {subset} and out-of-fold scores do not differ."
    side = "above" if gap > 0 else "below"
    on_average = " on average" if len(results.members) > 1 else ""
    text = f"The {folds} {subset} score lies{on_average} {abs(gap):.4f} {side} the out-of-fold one"
    if len(results.members) > 1:
        spread = format_score(_fold_figures(results, "standard deviation")["hmean"])
        text += f"; between folds the out-of-fold score has a standard deviation of {spread}"
    return f"{text}."


def _state_lack(results: Results) -> str:
    lacks = []
    if not results.has_truth("test"):
        lacks.append(
            "the truth of the test pages is withheld, so only the leaderboard can say the "
            "submission's score"
        )
    if results.absent_folds:
        numbers = join_words([str(fold) for fold in results.absent_folds])
        folds = "fold" if len(results.absent_folds) == 1 else "folds"
        does = "does" if len(results.absent_folds) == 1 else "do"
        lacks.append(f"{folds} {numbers} {does} not vote")
    subset = judging_subset(results.page_scores)
    if subset is not None and len(results.hmeans(subset)) < FEW_PAGES:
        lacks.append(f"fewer than {FEW_PAGES} pages make every interval here too narrow")
    return f"Note that {join_words(lacks)}." if lacks else ""


def _fold_figures(results: Results, row: str) -> dict[str, float]:
    """One row of the table of folds."""
    table = tabulate_folds(results.scores, results.histories)
    return {str(column): table[column].to_dict()[row] for column in table}
