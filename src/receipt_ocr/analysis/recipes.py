"""Settings of experiments, what they differ in, and the commands that repeat one."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.analysis.results import Results
from receipt_ocr.identity import ExperimentId

WITHOUT_EFFECT = {
    "one_cycle": ("warmup_epochs", "schedule_epochs", "final_learning_rate"),
    "constant": ("schedule_epochs", "final_learning_rate"),
}
"""Schedule of the learning rate -> training settings that it does not look at."""


def list_settings(results: Results) -> dict[str, str]:
    """Every setting of the reported experiment that has an effect, and who votes how much."""
    voting = results.own.voting
    settings = flatten(results.recipes.get(results.own.name, {}))
    settings["ensemble.mean"] = voting.mean
    shares = zip(voting.names, voting.weights, strict=True)
    return settings | {f"ensemble.weights.{name}": f"{weight:.4f}" for name, weight in shares}


def list_differences(results: Results) -> dict[str, list[str | None]] | None:
    """Setting that experiments differ in -> its value in each, None where it has none or no effect.

    None where fewer than two experiments are configured.
    """
    names = [one.name for one in results.compared.experiments]
    known = {name: flatten(results.recipes[name]) for name in names if name in results.recipes}
    if len(known) < 2:
        return None
    keys = dict.fromkeys(key for settings in known.values() for key in settings)
    return {
        key: [known.get(name, {}).get(key) for name in names]
        for key in keys
        if len({settings.get(key) for settings in known.values()}) > 1
    }


def list_commands(results: Results) -> list[str]:
    """Commands that repeat an experiment, from the raw receipts to its report."""
    own, voting = ExperimentId.parse(results.own.name), ""
    if results.absent_folds or results.own.external_members:
        names = [str(one) if one.is_external else str(one.fold) for one in results.members]
        voting = f"members={'+'.join(names)},"
    stages = ["tuning"] if results.own.chosen.is_tuned else []
    # The experiment's own folds first, as the order of the members may be another.
    voters = sorted(results.members, key=lambda member: member.is_external)
    lines = [
        "--pipeline=ingestion",
        "--pipeline=splitting",
        *(line for one in voters for line in _list_training(one.source or own, one.fold)),
        *(
            f"--pipeline={stage} --params {voting}{own.params}"
            for stage in [*stages, "ensemble", "reporting"]
        ),
    ]
    return [f"{results.provenance.command} {line}" for line in lines]


def flatten(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as ``block.name`` -> value, without those that have no effect."""
    training = recipe.get("training", {})
    idle = WITHOUT_EFFECT.get(training.get("schedule"), ())
    settings = dict(_walk(recipe, ""))
    return {k: v for k, v in settings.items() if k not in {f"training.{name}" for name in idle}}


def _walk(block: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            stages = [", ".join(f"{name} {part}" for name, part in v.items()) for v in value]
            yield f"{prefix}{key}", "; ".join(stages)
        else:
            yield f"{prefix}{key}", str(value)


def _list_training(name: ExperimentId, fold: int) -> Iterator[str]:
    """A detector is trained once, whatever TTA views its maps are predicted under."""
    yield f"--pipeline=train_fold --params fold={fold},{ExperimentId(name.experiment).params}"
    if not name.is_plain:
        yield f"--pipeline=predict_fold --params fold={fold},{name.params}"
