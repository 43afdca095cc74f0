"""The part of a report on post-processing: what was chosen, what that gains, and how sure it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.analysis.comparisons import ALL_FOLDS, compare_settings
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import ENSEMBLE, find_grid_edges
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    NOTHING,
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
    rows_of,
)

__all__ = ["write_search"]


def write_search(results: Results) -> str:
    """The section in Markdown."""
    chosen = results.chosen_postprocess
    parts = [
        say("## Post-processing"),
        _state_origin(str(chosen["source"])),
        format_table([say("setting"), say("value")], chosen["postprocess"].items(), left=2),
        name_sources("chosen_postprocess"),
        *_write_tuning(results),
        *_write_transfer(results),
        *_write_gain(results),
    ]
    return "\n\n".join(parts)


def _state_origin(source: str) -> str:
    return {
        "tuned": say(
            "The settings that every score here is made with are found by tuning out of fold."
        ),
        "holdout": say(
            "The settings that every score here is made with are found by tuning the ensemble on "
            "the holdout."
        ),
        "recipe": say("The settings that every score here is made with are the recipe's."),
    }[source]


def _write_tuning(results: Results) -> Iterator[str]:
    tuned = results.tuned_postprocess
    if tuned is None:
        yield say("Tuning has not run, so nothing is known about better thresholds.")
        return
    yield _tabulate_tuning(tuned)
    members = join_words(list(tuned["members"]))
    honest = tuned.get("honest_hmean")
    if honest is None:
        yield say(
            "Tuned on {pages} pages of {members}. An honest estimate takes two folds or more.",
            pages=tuned["pages"],
            members=members,
        )
    else:
        yield say(
            "Tuned on {pages} pages of {members}. Choosing on the pages that are scored flatters "
            "the score by {optimism:.4f}.",
            pages=tuned["pages"],
            members=members,
            optimism=tuned["chosen_hmean"] - honest,
        )
    if not results.is_tuned:
        yield say(
            "**It is not used:** `ensemble.thresholds` is `recipe`, or folds have been trained "
            "anew since (the log of the ensemble says so); run tuning again."
        )
    if set(tuned["members"]) != set(results.members):
        yield say("**These are not the members that vote: run tuning again.**")
    yield from _write_edges(results)
    if tuned.get("plateau"):
        yield _tabulate_plateau(tuned)
    yield name_sources("tuned_postprocess", "tuning_table")


def _tabulate_tuning(tuned: Mapping[str, Any]) -> str:
    honest, grid = tuned.get("honest_hmean"), tuned.get("grid_hmean")
    chosen = format_score(tuned["chosen_hmean"])
    rows = [(say("at the recipe's settings"), format_score(tuned["recipe_hmean"]))]
    if grid is None:
        rows.append((say("at the best point of the grid"), chosen))
    else:
        rows.append((say("at the best point of the grid"), format_score(grid)))
        rows.append((say("after the refinement"), chosen))
    rows.append(
        (
            say("each fold at the point chosen on the others (honest)"),
            NOTHING if honest is None else format_score(honest),
        )
    )
    return format_table([say("H-mean on the out-of-fold pages"), ""], rows)


def _tabulate_plateau(tuned: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{tuned['postprocess'][name]:g}",
            _say_end(side["lowest"], side["is_open_below"]),
            _say_end(side["highest"], side["is_open_above"]),
        )
        for name, side in tuned["plateau"].items()
    ]
    header = [say("setting alone"), say("chosen"), say("down to"), say("up to")]
    title = say("How far each setting may move before H-mean falls by 0.0005:")
    return f"{title}\n\n{format_table(header, rows)}"


def _say_end(value: float, is_open: bool) -> str:
    return say("at least {value:g}", value=value) if is_open else f"{value:g}"


def _write_edges(results: Results) -> Iterator[str]:
    if results.tuning_table is None or results.tuned_postprocess is None:
        return
    best, plateau = (results.tuned_postprocess.get(key) or {} for key in ("postprocess", "plateau"))
    edges = {
        axis: end
        for axis, end in find_grid_edges(results.tuning_table, best).items()
        if _is_open_at(plateau.get(axis), end)
    }
    if not edges:
        return
    named = [
        say("{setting} = {value:g} is the lowest tried", setting=axis, value=best[axis])
        if end == "lowest"
        else say("{setting} = {value:g} is the highest tried", setting=axis, value=best[axis])
        for axis, end in edges.items()
    ]
    yield say(
        "**The best point lies on the edge of the grid: {edges}; widen `tuning` there.**",
        edges=join_words(named),
    )


def _is_open_at(side: Mapping[str, Any] | None, end: str) -> bool:
    """Whether nothing shows that H-mean falls beyond that end: the plateau is looked for there."""
    return side is None or side["is_open_below" if end == "lowest" else "is_open_above"]


def _write_transfer(results: Results) -> Iterator[str]:
    found = results.holdout_postprocess
    if not found or results.tuned_postprocess is None:
        return
    yield say(
        "A detector's own maps are sharper than the mean of several, so thresholds tuned out of "
        "fold need not be the ensemble's best. On its maps of the {pages} holdout pages:",
        pages=found["pages"],
    )
    names = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")
    rows = [
        (title, *(f"{settings[name]:g}" for name in names), format_score(hmean))
        for title, settings, hmean in (
            (
                say("tuned out of fold"),
                results.tuned_postprocess["postprocess"],
                found["transferred_hmean"],
            ),
            (say("tuned on these pages (too good)"), found["postprocess"], found["chosen_hmean"]),
        )
    ]
    yield format_table([say("settings"), *names, say("holdout H-mean")], rows)
    yield say(
        "At the recipe's settings: {hmean}. Thresholds are those tuned out of fold unless "
        "`ensemble.thresholds` is `holdout`.",
        hmean=format_score(found["recipe_hmean"]),
    )
    yield name_sources("holdout_postprocess")


def _write_gain(results: Results) -> Iterator[str]:
    """What the chosen settings gain over the recipe's, page by page."""
    untuned = results.untuned_page_scores
    if untuned is None or untuned.empty:
        return
    table = compare_settings(results.page_scores, untuned)
    table = table[table["member"].isin([ALL_FOLDS, ENSEMBLE])]
    if table.empty:
        return
    rows = [
        (
            say(str(row.subset).replace("_", "-")),
            say(str(row.member)),
            row.pages,
            format_score(row.untuned_hmean),
            format_score(row.tuned_hmean),
            format_signed(row.difference),
            f"{format_signed(row.low)} {say('to')} {format_signed(row.high)}",
            say(str(row.verdict)),
        )
        for row in rows_of(table)
    ]
    header = [say("pages of"), say("member"), say("pages"), say("recipe's"), say("chosen")]
    header += [say("difference"), say("95 % interval"), say("chosen is")]
    yield format_table(header, rows, left=2)
    yield (
        say(
            "The out-of-fold pages chose the settings, so that their difference is too good by the "
            "optimism above; the others did not."
        )
        if results.chosen_postprocess["source"] == "tuned"
        else say("The holdout pages chose the settings: their difference is too good.")
    )
    yield name_sources("page_scores", "untuned_page_scores")
