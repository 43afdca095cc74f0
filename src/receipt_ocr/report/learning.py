"""The part of a report on training: epochs, and whether too little or too much was learnt."""

from collections.abc import Iterator

import pandas as pd

from receipt_ocr.analysis.experiment import stopped_early
from receipt_ocr.analysis.fitting import compare_new_pages, judge_curves
from receipt_ocr.analysis.results import Results
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    NOTHING,
    format_score,
    format_signed,
    format_table,
    name_sources,
    rows_of,
)

__all__ = ["write_learning"]

MOST_EPOCHS = 60
"""Rows of the table of epochs; of longer trainings the first and last ones."""


def write_learning(results: Results) -> str:
    """The sections in Markdown; empty where no history is known."""
    known = {name: one for name, one in results.histories.items() if one is not None}
    if not known:
        return ""
    sources = name_sources(*(f"{name}_history" for name in known))
    parts = [*_write_epochs(results, known), sources, *_write_verdict(results)]
    return "\n\n".join(parts)


def _write_epochs(results: Results, known: dict[str, pd.DataFrame]) -> Iterator[str]:
    yield say("## Epoch by epoch")
    yield say(
        "H-mean on each fold's validation pages at the recipe's post-processing, at the final page "
        "size from the first epoch on. **Bold**: the epoch that was kept. *Switch*: pages get "
        "another size from here on."
    )
    epochs = sorted({int(epoch) for history in known.values() for epoch in history["epoch"]})
    best = {name: judge_curves({name: one})["best_epoch"].iloc[0] for name, one in known.items()}
    sized = {name: dict(zip(h["epoch"], h["size"], strict=True)) for name, h in known.items()}
    rows = []
    for epoch in epochs:
        cells, notes = [], []
        for name, history in known.items():
            own = history[history["epoch"] == epoch]
            text = format_score(own["hmean"].iloc[0]) if len(own) else NOTHING
            cells.append(f"**{text}**" if epoch == best[name] else text)
        sizes = {int(size[epoch]) for size in sized.values() if epoch in size}
        # Member by member: that one of another experiment has ended is no switch.
        both = [size for size in sized.values() if {epoch - 1, epoch} <= size.keys()]
        if any(size[epoch - 1] != size[epoch] for size in both):
            notes.append(say("*switch*"))
        ended = [name for name, h in known.items() if int(h["epoch"].max()) == epoch]
        notes += _say_ends(results, ended)
        size = "/".join(str(one) for one in sorted(sizes))
        rows.append([epoch, size, *cells, "; ".join(notes)])
    yield format_table([say("epoch"), say("size"), *known, say("events")], _shorten(rows))


def _say_ends(results: Results, ended: list[str]) -> Iterator[str]:
    """Why trainings ended, where that is recorded."""
    for name in ended:
        if stopped_early(results.trainings.get(name)):
            yield say("{fold}: early stopping", fold=name)


def _shorten(rows: list[list[object]]) -> list[list[object]]:
    if len(rows) <= MOST_EPOCHS:
        return rows
    half = MOST_EPOCHS // 2
    return [*rows[:half], ["...", *[""] * (len(rows[0]) - 1)], *rows[-half:]]


def _write_verdict(results: Results) -> Iterator[str]:
    yield say("## Too little or too much?")
    table = judge_curves(results.histories)
    rows = [
        (
            row.member,
            f"{row.best_epoch} {say('of')} {row.epochs}",
            format_score(row.best),
            format_score(row.last),
            format_signed(-row.drop),
            f"{row.loss_fell:.0%}",
            say(row.verdict),
        )
        for row in rows_of(table)
    ]
    header = [say("fold"), say("best epoch"), say("best H"), say("last H"), say("since the best")]
    yield format_table([*header, say("loss fell since by"), say("the curve is")], rows)
    yield say(
        "*Past its peak* while the training loss goes on falling may be overfitting, or the "
        "recipe's thresholds, which H is measured at here, no longer fit; the epoch that was kept "
        "is the best. *Still rising* at the end is underfitting. Differences up to 0.0005 are "
        "called level; no interval was computed for them. Epochs count from 0."
    )
    found = compare_new_pages(results.page_scores, results.chosen_postprocess["source"])
    if found is None:
        yield say(
            "Whether the choice of epochs was overfitted cannot be said: there are no pages with "
            "truth that chose nothing."
        )
        return
    subset, comparison = found
    yield say(
        "On new pages ({subset}) single folds score {difference} against their own out-of-fold "
        "pages (95 % interval {low} to {high}): {verdict}",
        subset=say(subset),
        difference=format_signed(comparison.difference),
        low=format_signed(comparison.low),
        high=format_signed(comparison.high),
        verdict={
            "worse": say(
                "lower by more than chance. Either epochs and thresholds were chosen too closely "
                "by the validation pages, or the new pages are harder."
            ),
            "better": say("higher by more than chance; nothing points at overfitting."),
            "cannot be told apart": say(
                "no difference beyond chance, so nothing points at overfitting to the validation "
                "pages."
            ),
        }[comparison.verdict],
    )
    yield name_sources("page_scores")
