"""The part of a report on what each step gained: voting, tuning, test-time augmentation."""

from collections.abc import Iterator
from typing import Any

from receipt_ocr.analysis.comparisons import ALL_FOLDS, compare_settings, compare_tables
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import ENSEMBLE, compare_members, judging_subset
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
    rows_of,
)

__all__ = ["write_gains"]


def write_gains(results: Results) -> str:
    """One table of all steps, in Markdown; empty where nothing can be compared."""
    rows = [*_list_voting(results), *_list_tuning(results), *_list_augmentations(results)]
    if not rows:
        return ""
    header = [say("step"), say("pages"), say("H before"), say("H after"), say("difference")]
    return "\n\n".join(
        [
            say("## What each step gained"),
            format_table([*header, say("95 % interval"), say("afterwards it is")], rows, left=2),
            say(
                "Paired bootstrap over the pages; verdicts are of the figures before rounding. "
                "*Cannot be told apart* is a result: the step costs time and brings nothing that "
                "can be seen."
            ),
            *_write_caveats(results),
            name_sources("page_scores", "untuned_page_scores", "experiment_store"),
        ]
    )


def _write_caveats(results: Results) -> Iterator[str]:
    chose = {"tuned": "out-of-fold", "holdout": "holdout"}.get(results.chosen_postprocess["source"])
    if chose is not None and results.untuned_page_scores is not None:
        yield say(
            "The {subset} pages chose the thresholds, so the gain of tuning is too good there.",
            subset=say(chose),
        )
    others = [f"`{one.name}`" for one in _looks(results) if not _is_alike(results, one)]
    if others and _plain(results) is not None:
        yield say(
            "Not compared, because other folds vote or only one of the two is tuned: {names}.",
            names=join_words(others),
        )


def _looks(results: Results) -> list[Experiment]:
    """The other ways in which the detectors of this experiment have looked at its pages."""
    name = results.experiment.partition("@")[0]
    return [one for one in results.experiments if one.name.partition("@")[0] == name != one.name]


def _plain(results: Results) -> Experiment | None:
    name = results.experiment.partition("@")[0]
    return next((one for one in results.experiments if one.name == name), None)


def _is_alike(results: Results, look: Experiment) -> bool:
    """Whether nothing but the look differs: the same folds vote, and both are tuned or neither."""
    plain = _plain(results)
    return (
        plain is not None
        and list(look.histories) == list(plain.histories)
        and look.guests == plain.guests
        and look.thresholds == plain.thresholds
    )


def _list_voting(results: Results) -> Iterator[tuple[Any, ...]]:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return
    table = compare_members(results.page_scores, subset)
    after = float(results.hmeans(subset).mean())
    for row in rows_of(table.head(2)):
        name = str(row.opponent).partition(",")[0]
        yield _row(
            say("ensemble instead of the {fold}", fold=say(name)),
            (subset, row.pages),
            (after - float(row.difference), after),
            row,
        )


def _list_tuning(results: Results) -> Iterator[tuple[Any, ...]]:
    untuned = results.untuned_page_scores
    if untuned is None or untuned.empty:
        return
    table = compare_settings(results.page_scores, untuned)
    for row in rows_of(table[table["member"].isin([ALL_FOLDS, ENSEMBLE])]):
        yield _row(
            say("tuned thresholds ({member})", member=say(str(row.member))),
            (row.subset, row.pages),
            (row.untuned_hmean, row.tuned_hmean),
            row,
        )


def _list_augmentations(results: Results) -> Iterator[tuple[Any, ...]]:
    """Each way to look at the pages of this experiment's detectors, against looking once."""
    plain = _plain(results)
    for one in _looks(results):
        if plain is None or not _is_alike(results, one):
            continue
        table = compare_tables(one.page_scores, plain.page_scores, (one.name, plain.name))
        for row in rows_of(table[table["member"].isin([ALL_FOLDS, ENSEMBLE])]):
            look = one.name.partition("@")[2]
            step = say("looking by `{tta}` ({member})", tta=look, member=say(str(row.member)))
            pages = (str(row.subset), row.pages)
            yield _row(step, pages, (row.second_hmean, row.first_hmean), row)


def _row(
    step: str, pages: tuple[object, object], hmeans: tuple[Any, Any], found: Any
) -> tuple[Any, ...]:
    subset = say(str(pages[0]).replace("_", "-"))
    return (
        step,
        say("{pages} {subset}", pages=pages[1], subset=subset),
        *(format_score(value) for value in hmeans),
        format_signed(found.difference),
        f"{format_signed(found.low)} {say('to')} {format_signed(found.high)}",
        say(str(found.verdict)),
    )
