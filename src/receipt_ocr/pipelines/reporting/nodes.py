"""Nodes of the reporting stage."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.identity import Member
from receipt_ocr.pipelines.reporting.drawing import PICTURES, SEARCH_PICTURES
from receipt_ocr.report.settings import ReportSettings

if TYPE_CHECKING:
    from receipt_ocr.analysis.experiment import Experiment
    from receipt_ocr.datasets.experiments import ExperimentStore
else:  # Kedro reads the signatures to check parameters
    Experiment = ExperimentStore = Any

__all__ = [
    "PICTURES",
    "SEARCH_PICTURES",
    "gather_experiments",
    "gather_histories",
    "gather_records",
    "render_page",
    "write_report",
]

LANGUAGES = {"english": "en", "korean": "ko"}

SHOWN_OF_OTHERS = ("_history", "_training_record")
"""Ends of the names of entries that lay an experiment's trainings beside others."""

Records = dict[str, dict[str, Any]]


def gather_histories(
    experiments: Experiments,
    ensemble: EnsembleSettings,
    others: ExperimentStore,
    *histories: pd.DataFrame | None,
) -> dict[str, pd.DataFrame | None]:
    """Member -> history of its training, of all who vote; None where its file is gone."""
    return {
        str(member): others.history(str(member.source), member.fold)
        if member.is_external
        else histories[member.fold]
        for member in ensemble.voters
    }


def gather_experiments(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    report: ReportSettings,
    experiments: Experiments,
    tta: TtaVariants,
    page_scores: pd.DataFrame,
    others: ExperimentStore,
    submission_records: Records,
    leaderboard_records: Records,
) -> tuple[list[Experiment], dict[str, str], list[str]]:
    """This experiment and those to lay beside it; name -> why one is left out; broken records.

    A damaged file of another experiment leaves that one out, one of this experiment is an error.
    """
    from kedro.io.core import DatasetError

    from receipt_ocr.analysis.comparisons import check_pair
    from receipt_ocr.contest.leaderboard import SCORE_KEYS, SUBMISSION_KEYS

    own, known = tta.name_variant(experiments.selected), others.names()
    wanted = known if report.experiments == "all" else report.experiments
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(
            f"report.experiments names {', '.join(unknown)}, which has no scores; there are: "
            f"{', '.join(known)}. Run --pipeline=ensemble for it, or take it out"
        )
    made, faults = _part(submission_records, SUBMISSION_KEYS, "submissions")
    told, more = _part(leaderboard_records, SCORE_KEYS, "leaderboard")
    submissions = sorted(made, key=lambda record: str(record["made"]))
    found, left_out = [], {}
    for name in dict.fromkeys([own, *wanted]):
        try:
            one = others.experiment(name, submissions, told)
            if one is None:
                left_out[name] = "it has no scores; run --pipeline=ensemble for it"
                continue
            check_pair(one.page_scores, page_scores, (name, own))
        except (DatasetError, KeyError, TypeError, ValueError) as error:
            if name == own:
                raise
            lacks = isinstance(error, KeyError | TypeError)
            left_out[name] = f"a record of it lacks {error}" if lacks else str(error)
        else:
            found.append(one)
    return found, left_out, [*faults, *more]


def _part(
    records: Records, needed: Collection[str], folder: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Sound records, and what is wrong with the others, each with its file."""
    from receipt_ocr.contest.leaderboard import part_records

    sound, lacking = part_records(records, needed)
    unreadable: dict[str, str] = getattr(records, "faults", {})
    faults = [f"{address} {fault}" for address, fault in unreadable.items()]
    for name, keys in lacking.items():
        faults.append(f"08_reporting/{folder}/{name}.json lacks {keys}; mend or delete it")
    return list(sound.values()), faults


def gather_records(
    experiments: Experiments,
    tta: TtaVariants,
    others: ExperimentStore,
    compared: list[Experiment],
) -> tuple[Records, dict[str, list[str]]]:
    """Entry of the catalog -> the run that wrote it; and runs that are gone -> their entries.

    Entries of an experiment beside this one bear its name (``other/page_scores``).
    """
    from receipt_ocr.tracking.runs import find_lost

    own = others.run_records(tta.name_variant(experiments.selected))
    records = dict(own)
    for one in compared:
        records |= {
            f"{one.name}/{entry}": record
            for entry, record in others.run_records(one.name).items()
            if (entry == "page_scores" or entry.endswith(SHOWN_OF_OTHERS))
            and record not in own.values()
        }
    by_run: dict[str, list[str]] = {}
    for entry, record in records.items():
        if record.get("run_id"):
            by_run.setdefault(record["run_id"], []).append(entry)
    return records, {run: by_run[run] for run in sorted(find_lost(by_run))}


def write_report(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    report: ReportSettings,
    experiments: Experiments,
    tta: TtaVariants,
    dataset: str,
    histories: dict[str, pd.DataFrame | None],
    compared: list[Experiment],
    left_out: dict[str, str],
    faults: list[str],
    others: ExperimentStore,
    run_records: Records,
    lost_runs: dict[str, list[str]],
    pages: pd.DataFrame,
    rejected: pd.DataFrame,
    scores: pd.DataFrame,
    page_scores: pd.DataFrame,
    untuned_page_scores: pd.DataFrame,
    word_outcomes: pd.DataFrame | None,
    chosen: dict[str, Any],
    tuned: dict[str, Any] | None,
    tuning_table: pd.DataFrame | None,
    holdout: dict[str, Any] | None,
    worst: dict[str, Any] | None,
) -> str:
    """The report as Markdown."""
    from receipt_ocr.report.korean import TEXTS
    from receipt_ocr.report.language import speaking
    from receipt_ocr.report.report import Results, write_report

    if (scored := chosen["members"]["names"]) != list(histories):
        raise ValueError(
            f"the stored scores are of {', '.join(scored)}, ensemble.members asks for "
            f"{', '.join(histories)}; run --pipeline=ensemble with these members first"
        )
    name = tta.name_variant(experiments.selected)
    own = next((one for one in compared if one.name == name), None)
    recipes = _find_recipes([name, *(one.name for one in compared)], experiments, tta)
    results = Results(
        experiment=name,
        dataset=dataset,
        recipe=recipes[name],
        histories=histories,
        scores=scores,
        page_scores=page_scores,
        chosen_postprocess=chosen,
        pages=pages,
        rejected=rejected,
        untuned_page_scores=untuned_page_scores,
        tuned_postprocess=tuned,
        tuning_table=tuning_table,
        holdout_postprocess=holdout,
        word_outcomes=word_outcomes,
        trainings={} if own is None else own.trainings,
        experiments=compared,
        recipes=recipes,
        command=others.command,
        left_out=left_out,
        faults=faults,
        retrained=_find_retrained(chosen["members"], name, others),
        run_records=run_records,
        lost_runs=lost_runs,
    )
    is_searched = tuned is not None and tuning_table is not None
    pictures = {**PICTURES, **(SEARCH_PICTURES if is_searched else {})}
    if all(history is None for history in histories.values()):
        del pictures["history"]
    if not (worst or {}).get("out_of_fold"):
        del pictures["worst_pages"]
    with speaking(TEXTS if report.language == "korean" else {}):
        return write_report(results, pictures)


def _find_recipes(
    names: Iterable[str], experiments: Experiments, tta: TtaVariants
) -> dict[str, dict[str, Any]]:
    """Name of an experiment that is still configured -> its settings, and how it looks at pages."""
    looks = {"": TtaSettings(), **tta.variants}
    recipes = {}
    for name in names:
        experiment, _, look = name.partition("@")
        if experiment in experiments.variants and look in looks:
            settings = experiments.named(experiment).model_dump(mode="json")
            recipes[name] = {**settings, "test_time": looks[look].model_dump(mode="json")}
    return recipes


def _find_retrained(voting: dict[str, Any], own: str, others: ExperimentStore) -> list[str]:
    """Members whose stored maps are of another detector than those that were scored."""
    changed = []
    for name, source in voting.get("sources", {}).items():
        member = Member.parse(name)
        try:
            maps = others.maps(str(member.source or own), member.fold, "out_of_fold")
            if maps.source != source:
                changed.append(name)
        except (OSError, ValueError):  # gone: there is nothing to compare with
            continue
    return changed


def render_page(report: ReportSettings, text: str, *pictures: dict[str, bytes]) -> str:
    """The report as one HTML page with its pictures inside."""
    from receipt_ocr.report.html import render_html
    from receipt_ocr.report.korean import TEXTS
    from receipt_ocr.report.language import say, speaking

    joined = {path: content for part in pictures for path, content in part.items()}
    with speaking(TEXTS if report.language == "korean" else {}):
        return render_html(text, joined, LANGUAGES[report.language], say("Contents"))
