"""Read the sources of a report from the experiment store, and check them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kedro.io.core import DatasetError

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.results import Compared
from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.datasets.records import Records
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    RunRecord,
    SubmissionRecord,
    TrainingRecord,
)

SHOWN_OF_OTHERS = ("_history", "_training_record")
"""Ends of the names of entries of other experiments that a report reads."""


def check_voters(chosen: ChosenPostprocess, asked: Sequence[str]) -> None:
    """Raise ValueError unless the scored members are those that the settings ask for."""
    scored = [] if chosen.members is None else list(chosen.members.names)
    if scored != list(asked):
        raise ValueError(
            f"the stored scores are of {', '.join(scored)}, ensemble.members asks for "
            f"{', '.join(asked)}; run --pipeline=ensemble with these members first"
        )


def choose_others(asked: str | Sequence[str], store: ExperimentStore) -> Sequence[str]:
    """Names of the experiments to lay beside one; ValueError where one was not scored."""
    known = store.names()
    wanted = known if asked == "all" else asked
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(
            f"report.experiments names {', '.join(unknown)}, which has no scores; there are: "
            f"{', '.join(known)}. Run --pipeline=ensemble for it, or take it out"
        )
    return wanted


def read_trainings(
    store: ExperimentStore, name: str, members: Iterable[str]
) -> dict[str, TrainingRecord | None]:
    """Own fold among the members -> the record of its training."""
    own = (Member.parse(member) for member in members)
    folds = [member.fold for member in own if not member.is_external]
    return {str(Member(None, fold)): store.training(name, fold) for fold in folds}


def read_experiment(store: ExperimentStore, name: str) -> Experiment | None:
    """Another experiment's results; None where it was not scored."""
    page_scores = store.page_scores(name)
    chosen = store.chosen_postprocess(name)
    if page_scores is None or chosen is None or chosen.members is None:
        return None
    trainings = read_trainings(store, name, chosen.members.names)
    folds = {member: Member.parse(member).fold for member in trainings}
    return Experiment(
        name=name,
        page_scores=page_scores,
        histories={member: store.history(name, fold) for member, fold in folds.items()},
        trainings=trainings,
        chosen=chosen,
        tuned=store.tuned_postprocess(name),
    )


def compare(
    own: Experiment,
    wanted: Sequence[str],
    store: ExperimentStore,
    submissions: Records[SubmissionRecord],
    scores: Records[LeaderboardScore],
) -> Compared:
    """Lay other experiments beside one.

    A damaged file of another experiment leaves that one out; records of submissions and scores
    that cannot be read are left out one by one.
    """
    made = sorted(submissions.values(), key=lambda record: record.made)
    faults = [f"{file} {fault}" for file, fault in (submissions.faults | scores.faults).items()]
    found, left_out = [own], {}
    for name in dict.fromkeys(wanted):
        if name == own.name:
            continue
        other, reason = _try_to_read(store, name, own)
        if other is None:
            left_out[name] = reason
        else:
            found.append(other)
    return Compared(
        experiments=[
            replace(
                one,
                submissions=[record for record in made if record.experiment == one.name],
                leaderboard=[record for record in scores.values() if record.experiment == one.name],
            )
            for one in found
        ],
        left_out=left_out,
        faults=faults,
    )


def _try_to_read(
    store: ExperimentStore, name: str, own: Experiment
) -> tuple[Experiment | None, str | None]:
    """An experiment that can be compared, or why it cannot; None where it was never scored."""
    from receipt_ocr.analysis.comparisons import check_pair

    try:
        other = read_experiment(store, name)
        if other is not None:
            check_pair(other.page_scores, own.page_scores, (name, own.name))
    except (DatasetError, ValueError) as error:
        return None, str(error)
    return other, None


def list_recipes(
    names: Iterable[str], experiments: Experiments, tta: TtaVariants
) -> dict[str, dict[str, Any]]:
    """Name of an experiment that is still configured -> its settings, with its TTA view."""
    views = {ExperimentId("").tta_view: TtaSettings(), **tta.variants}
    recipes = {}
    for name in names:
        own = ExperimentId.parse(name)
        if own.experiment in experiments.variants and own.tta_view in views:
            settings = experiments.named(own.experiment).model_dump(mode="json")
            view = views[own.tta_view].model_dump(mode="json")
            recipes[name] = {**settings, "test_time": view}
    return recipes


def gather_runs(store: ExperimentStore, names: Sequence[str]) -> dict[str, RunRecord]:
    """Entry of the catalog -> the run that wrote it, of the first experiment and those beside it.

    Of the others only the entries that are shown count; they are called ``other/page_scores``.
    """
    own = store.run_records(names[0])
    records = dict(own)
    for name in names[1:]:
        records |= {
            f"{name}/{entry}": record
            for entry, record in store.run_records(name).items()
            if (entry == "page_scores" or entry.endswith(SHOWN_OF_OTHERS))
            and record not in own.values()
        }
    return records


def find_retrained(own: Experiment, store: ExperimentStore) -> list[str]:
    """Members whose stored maps are of another detector than those that were scored."""
    changed = []
    for name, source in own.voting.sources.items():
        member = Member.parse(name)
        try:
            maps = store.maps(str(member.source or own.name), member.fold, "out_of_fold")
            if maps.source != source:
                changed.append(name)
        except (OSError, ValueError):  # gone: there is nothing to compare with
            continue
    return changed
