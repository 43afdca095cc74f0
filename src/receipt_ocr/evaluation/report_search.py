"""The part of a report on post-processing: what was chosen, what that gains, and how sure it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.evaluation.comparisons import compare_settings
from receipt_ocr.evaluation.markdown import (
    NOTHING,
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
)
from receipt_ocr.evaluation.report_tables import find_grid_edges
from receipt_ocr.evaluation.results import Results

__all__ = ["write_search"]

ORIGINS = {
    "tuned": "found by tuning out of fold",
    "holdout": "found by tuning the ensemble on the holdout",
    "recipe": "the recipe's",
}
"""Source of the chosen post-processing -> in words."""


def write_search(results: Results) -> str:
    """The section in Markdown."""
    chosen = results.chosen_postprocess
    parts = [
        "## Post-processing",
        f"The settings that every score here is made with are {ORIGINS[chosen['source']]}.",
        format_table(["setting", "value"], chosen["postprocess"].items(), left=2),
        name_sources("chosen_postprocess"),
        *_write_tuning(results),
        *_write_transfer(results),
        *_write_gain(results),
    ]
    return "\n\n".join(parts)


def _write_tuning(results: Results) -> Iterator[str]:
    tuned = results.tuned_postprocess
    if tuned is None:
        yield "Tuning has not run, so nothing is known about better thresholds."
        return
    honest, grid = tuned.get("honest_hmean"), tuned.get("grid_hmean")
    rows = [("at the recipe's settings", format_score(tuned["recipe_hmean"]))]
    if grid is not None:
        rows.append(("at the best point of the grid", format_score(grid)))
    best = "at the best point of the grid" if grid is None else "after the refinement"
    rows += [
        (best, format_score(tuned["chosen_hmean"])),
        (
            "each fold at the point chosen on the others (honest)",
            NOTHING if honest is None else format_score(honest),
        ),
    ]
    yield format_table(["H-mean on the out-of-fold pages", ""], rows)
    optimism = None if honest is None else tuned["chosen_hmean"] - honest
    yield (
        f"Tuned on {tuned['pages']} pages of {join_words(list(tuned['members']))}."
        + (
            " An honest estimate takes two folds or more."
            if optimism is None
            else f" Choosing on the pages that are scored flatters the score by {optimism:.4f}."
        )
    )
    if results.chosen_postprocess["source"] == "recipe":
        yield (
            "**It is not used:** `ensemble.thresholds` is `recipe`, or folds have been trained "
            "anew since (the log of the ensemble says so); run tuning again."
        )
    if set(tuned["members"]) != set(results.members):
        yield "**These are not the members that vote: run tuning again.**"
    yield from _write_edges(results)
    if tuned.get("plateau"):
        yield _tabulate_plateau(tuned)
    yield name_sources("tuned_postprocess", "tuning_table")


def _tabulate_plateau(tuned: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{tuned['postprocess'][name]:g}",
            f"{'at least ' * side['is_open_below']}{side['lowest']:g}",
            f"{'at least ' * side['is_open_above']}{side['highest']:g}",
        )
        for name, side in tuned["plateau"].items()
    ]
    header = ["setting alone", "chosen", "down to", "up to"]
    title = "How far each setting may move before H-mean falls by 0.0005:"
    return f"{title}\n\n{format_table(header, rows)}"


def _write_edges(results: Results) -> Iterator[str]:
    if results.tuning_table is None or results.tuned_postprocess is None:
        return
    best = results.tuned_postprocess["postprocess"]
    edges = find_grid_edges(results.tuning_table, best)
    if edges:
        named = join_words(
            [f"{axis} = {best[axis]:g} is the {end} tried" for axis, end in edges.items()]
        )
        yield f"**The best point lies on the edge of the grid: {named}; widen `tuning` there.**"


def _write_transfer(results: Results) -> Iterator[str]:
    found = results.holdout_postprocess
    if not found or results.tuned_postprocess is None:
        return
    yield (
        "A detector's own maps are sharper than the mean of several, so thresholds tuned out of "
        f"fold need not be the ensemble's best. On its maps of the {found['pages']} holdout pages:"
    )
    names = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")
    rows = [
        (title, *(f"{settings[name]:g}" for name in names), format_score(hmean))
        for title, settings, hmean in (
            (
                "tuned out of fold",
                results.tuned_postprocess["postprocess"],
                found["transferred_hmean"],
            ),
            ("tuned on these pages (too good)", found["postprocess"], found["chosen_hmean"]),
        )
    ]
    yield format_table(["settings", *names, "holdout H-mean"], rows)
    yield (
        f"At the recipe's settings: {format_score(found['recipe_hmean'])}. Thresholds are those "
        "tuned out of fold unless `ensemble.thresholds` is `holdout`."
    )
    yield name_sources("holdout_postprocess")


def _write_gain(results: Results) -> Iterator[str]:
    """What the chosen settings gain over the recipe's, page by page."""
    untuned = results.untuned_page_scores
    if untuned is None or untuned.empty:
        return
    table = compare_settings(results.page_scores, untuned)
    table = table[table["member"].isin(["all folds", "ensemble"])]
    if table.empty:
        return
    rows = [
        (
            str(row.subset).replace("_", "-"),
            row.member,
            row.pages,
            format_score(row.untuned_hmean),
            format_score(row.tuned_hmean),
            format_signed(row.difference),
            f"{format_signed(row.low)} to {format_signed(row.high)}",
            row.verdict,
        )
        for row in table.itertuples()
    ]
    header = ["pages of", "member", "pages", "recipe's", "chosen", "difference", "95 % interval"]
    yield format_table([*header, "chosen is"], rows, left=2)
    yield (
        "The out-of-fold pages chose the settings, so that their difference is too good by the "
        "optimism above; the others did not."
        if results.chosen_postprocess["source"] == "tuned"
        else "The holdout pages chose the settings: their difference is too good."
    )
    yield name_sources("page_scores", "untuned_page_scores")
