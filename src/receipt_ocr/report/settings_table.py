"""The parts of a report on settings: what experiments differ in, and all of one of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.analysis.results import Results
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import NOTHING, format_table, join_words, name_sources

__all__ = ["write_differences", "write_settings"]


def write_differences(results: Results) -> str:
    """What the experiments differ in, in Markdown; empty where there are not two to compare."""
    names = [one.name for one in results.experiments]
    known = {
        name: dict(_flatten(results.recipes[name])) for name in names if name in results.recipes
    }
    if len(known) < 2:
        return ""
    keys = dict.fromkeys(key for settings in known.values() for key in settings)
    rows = [
        [key, *(known[name].get(key, NOTHING) if name in known else NOTHING for name in names)]
        for key in keys
        if len({str(settings.get(key)) for settings in known.values()}) > 1
    ]
    unknown = [f"`{name}`" for name in names if name not in known]
    parts = [
        say("## What the experiments differ in"),
        say("Settings as they stand in the configuration today; all others are the same."),
        format_table([say("setting"), *names], rows) if rows else say("In no setting."),
    ]
    if unknown:
        parts.append(say("No longer configured: {names}.", names=join_words(unknown)))
    return "\n\n".join([*parts, name_sources("params:experiments", "params:test_time")])


def write_settings(results: Results) -> str:
    """Every setting of the experiment, in Markdown."""
    rows = list(_flatten(results.recipe))
    voting = results.chosen_postprocess["members"]
    rows.append(("ensemble.mean", voting["mean"]))
    shares = zip(voting["names"], voting["weights"], strict=True)
    rows += [(say("weight of {member}", member=name), f"{weight:.4f}") for name, weight in shares]
    return "\n\n".join(
        [
            say("## Settings"),
            say("The recipe before tuning; what the scores are made with stands above."),
            format_table([say("setting"), say("value")], rows, left=2),
            name_sources("params:experiments", "params:ensemble"),
        ]
    )


def _flatten(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            stages = [", ".join(f"{name} {part}" for name, part in v.items()) for v in value]
            yield f"{prefix}{key}", "; ".join(stages)
        else:
            yield f"{prefix}{key}", value
