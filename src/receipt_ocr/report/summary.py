"""The first sentences of a report: what was reached, and which number to believe."""

from receipt_ocr.analysis.bootstrap import bootstrap_mean
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import compare_members, judging_subset, tabulate_folds
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import format_score, format_signed, join_words

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
        if results.folds:
            return say("The ensemble, which is fold {fold} alone,", fold=results.folds[0])
        return say("The ensemble, which is {member} alone,", member=results.members[0])
    if results.guests:
        return say("The ensemble of {members}", members=join_words(results.members))
    numbers = join_words([str(fold) for fold in results.folds])
    return say("The ensemble of folds {folds}", folds=numbers)


def _state_score(results: Results) -> str:
    ensemble = name_ensemble(results)
    subset = judging_subset(results.page_scores)
    if subset is None:
        return say(
            "{ensemble} has no score: the truth of the test pages is withheld and there is no "
            "holdout.",
            ensemble=ensemble,
        )
    hmeans = results.hmeans(subset)
    hmean = format_score(hmeans.mean())
    if len(hmeans) > 1:
        found = bootstrap_mean(hmeans.to_numpy())
        text = say(
            "{ensemble} scores a page-mean H-mean of {hmean} on the {pages} {subset} pages "
            "(95 % interval {low} to {high})",
            ensemble=ensemble,
            hmean=hmean,
            pages=len(hmeans),
            subset=say(subset),
            low=format_score(found.low),
            high=format_score(found.high),
        )
    else:
        text = say(
            "{ensemble} scores a page-mean H-mean of {hmean} on the one {subset} page",
            ensemble=ensemble,
            hmean=hmean,
            subset=say(subset),
        )
    alone = [results.hmeans(subset, member).mean() for member in results.members]
    if len(alone) > 1:
        text = say(
            "{score}; its members alone score {low:.4f} to {high:.4f}",
            score=text,
            low=min(alone),
            high=max(alone),
        )
    return f"{text}."


def _state_comparison(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return ""
    table = compare_members(results.page_scores, subset)
    if table.empty:
        return ""
    best, mean = table.iloc[0], table.iloc[1]
    fold, difference = best["opponent"].partition(", ")[2], format_signed(best["difference"])
    with_best = {
        "better": say(
            "is better than the best fold, {fold} ({difference})", fold=fold, difference=difference
        ),
        "worse": say(
            "is worse than the best fold, {fold} ({difference})", fold=fold, difference=difference
        ),
        "cannot be told apart": say(
            "cannot be told apart from the best fold, {fold} ({difference})",
            fold=fold,
            difference=difference,
        ),
    }
    beside = format_signed(mean["difference"])
    with_mean = {
        "better": say("is better than the mean fold ({difference})", difference=beside),
        "worse": say("is worse than the mean fold ({difference})", difference=beside),
        "cannot be told apart": say(
            "cannot be told apart from the mean fold ({difference})", difference=beside
        ),
    }
    return say(
        "On these pages it {best}, and {mean}.",
        best=with_best[best["verdict"]],
        mean=with_mean[mean["verdict"]],
    )


def _state_trust(results: Results) -> str:
    if results.chosen_postprocess["source"] == "holdout":
        return say(
            "The holdout pages chose the thresholds, so their scores are too good, and so is every "
            "comparison on them; trust the out-of-fold scores, whose pages chose the epochs only, "
            "or a leaderboard."
        )
    if results.has_truth("holdout"):
        return say(
            "The score to trust is the holdout's, {hmean}: its pages chose nothing, neither an "
            "epoch nor a threshold; the out-of-fold scores are a little too good, because their "
            "pages did.",
            hmean=format_score(results.hmeans("holdout").mean()),
        )
    score = format_score(_fold_figures(results, "mean of folds")["hmean"])
    if len(results.members) > 1:
        score = say("{hmean} on average", hmean=score)
    text = say(
        "There is no holdout, so the score to trust is the out-of-fold one, {score}, though it is "
        "a little too good: its pages chose {choices}",
        score=score,
        choices=_name_choices(results),
    )
    if results.has_truth("test"):
        text = say(
            "{trust}; the test score is as honest only as long as nothing is chosen by it",
            trust=text,
        )
    return f"{text}."


def _name_choices(results: Results) -> str:
    """What the out-of-fold pages chose."""
    if results.chosen_postprocess["source"] != "tuned":
        return say("each fold's best epoch")
    tuned = results.tuned_postprocess or {}
    if tuned.get("honest_hmean") is None:
        return say("each fold's best epoch and the thresholds")
    return say(
        "each fold's best epoch and the thresholds; the thresholds flatter it by {optimism:.4f}, "
        "the epochs by what nobody has measured",
        optimism=tuned["chosen_hmean"] - tuned["honest_hmean"],
    )


def _state_gap(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return ""
    average = _fold_figures(results, "mean of folds")
    gap = average[f"{subset}_hmean"] - average["hmean"]
    if len(results.members) == 1:
        return _state_gap_of_one(say(subset), gap)
    if round(gap, 4) == 0:
        return say("The folds' {subset} and out-of-fold scores do not differ.", subset=say(subset))
    spread = format_score(_fold_figures(results, "standard deviation")["hmean"])
    values = {"subset": say(subset), "gap": abs(gap), "spread": spread}
    if gap > 0:
        return say(
            "The folds' {subset} score lies on average {gap:.4f} above the out-of-fold one; "
            "between folds the out-of-fold score has a standard deviation of {spread}.",
            **values,
        )
    return say(
        "The folds' {subset} score lies on average {gap:.4f} below the out-of-fold one; "
        "between folds the out-of-fold score has a standard deviation of {spread}.",
        **values,
    )


def _state_gap_of_one(subset: str, gap: float) -> str:
    values = {"subset": subset, "gap": abs(gap)}
    if round(gap, 4) == 0:
        return say("The fold's {subset} and out-of-fold scores do not differ.", **values)
    if gap > 0:
        return say("The fold's {subset} score lies {gap:.4f} above the out-of-fold one.", **values)
    return say("The fold's {subset} score lies {gap:.4f} below the out-of-fold one.", **values)


def _state_lack(results: Results) -> str:
    lacks = []
    if not results.has_truth("test"):
        lacks.append(
            say(
                "the truth of the test pages is withheld, so only the leaderboard can say the "
                "submission's score"
            )
        )
    absent = results.absent_folds
    if len(absent) == 1:
        lacks.append(say("fold {fold} does not vote", fold=absent[0]))
    elif absent:
        numbers = join_words([str(fold) for fold in absent])
        lacks.append(say("folds {folds} do not vote", folds=numbers))
    subset = judging_subset(results.page_scores)
    if subset is not None and len(results.hmeans(subset)) < FEW_PAGES:
        lacks.append(
            say("fewer than {count} pages make every interval here too narrow", count=FEW_PAGES)
        )
    return say("Note that {lacks}.", lacks=join_words(lacks)) if lacks else ""


def _fold_figures(results: Results, row: str) -> dict[str, float]:
    """One row of the table of folds."""
    table = tabulate_folds(results.scores, results.histories)
    return {str(column): table[column].to_dict()[row] for column in table}
