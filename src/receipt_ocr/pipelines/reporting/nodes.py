"""Nodes of the reporting stage: gather what the stages left, then write it down."""

from typing import Any

import pandas as pd

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.results import Compared, Provenance, Results, Tables
from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.datasets.records import Records
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.pipelines.reporting import drawing, gathering
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    SubmissionRecord,
    TunedPostprocess,
)
from receipt_ocr.report.settings import ReportSettings


def gather_histories(
    ensemble: EnsembleSettings, store: ExperimentStore, *histories: pd.DataFrame | None
) -> dict[str, pd.DataFrame | None]:
    """Map every voter to the history of its training, None where its file is gone."""
    return {
        str(member): store.history(str(member.source), member.fold)
        if member.is_external
        else histories[member.fold]
        for member in ensemble.voters
    }


def gather_experiment(
    experiments: Experiments,
    tta: TtaVariants,
    store: ExperimentStore,
    histories: dict[str, pd.DataFrame | None],
    page_scores: pd.DataFrame,
    chosen: ChosenPostprocess,
    tuned: TunedPostprocess | None,
) -> Experiment:
    """Gather the results of the selected experiment."""
    name = tta.name_variant(experiments.selected)
    gathering.check_voters(chosen, list(histories))
    trained = gathering.read_trainings(store, name, histories)
    return Experiment(
        name=name,
        page_scores=page_scores,
        histories={member: histories[member] for member in trained},
        trainings=trained,
        chosen=chosen,
        tuned=tuned,
    )


def compare_experiments(
    report: ReportSettings,
    own: Experiment,
    store: ExperimentStore,
    submission_records: Records[SubmissionRecord],
    leaderboard_records: Records[LeaderboardScore],
) -> Compared:
    """Lay the other experiments beside the selected one."""
    wanted = gathering.choose_others(report.experiments, store)
    return gathering.compare(own, wanted, store, submission_records, leaderboard_records)


def find_runs(store: ExperimentStore, compared: Compared) -> Provenance:
    """Find the runs that wrote what the report reads, and those that are gone."""
    from receipt_ocr.tracking import runs

    records = gathering.gather_runs(store, [one.name for one in compared.experiments])
    by_run: dict[str, list[str]] = {}
    for entry, record in records.items():
        if record.run_id:
            by_run.setdefault(record.run_id, []).append(entry)
    lost = {run: by_run[run] for run in sorted(runs.find_lost(by_run))}
    retrained = gathering.find_retrained(compared.experiments[0], store)
    return Provenance(records, lost, retrained, store.command)


def gather_tables(
    pages: pd.DataFrame,
    rejected: pd.DataFrame,
    untuned_page_scores: pd.DataFrame,
    word_outcomes: pd.DataFrame | None,
    tuning_table: pd.DataFrame | None,
    holdout: TunedPostprocess | None,
) -> Tables:
    """Gather the tables of the selected experiment."""
    return Tables(pages, rejected, untuned_page_scores, word_outcomes, tuning_table, holdout)


def gather_results(
    experiments: Experiments,
    tta: TtaVariants,
    dataset: str,
    histories: dict[str, pd.DataFrame | None],
    compared: Compared,
    tables: Tables,
    provenance: Provenance,
) -> Results:
    """Gather everything that the report is about."""
    names = [one.name for one in compared.experiments]
    recipes = gathering.list_recipes(names, experiments, tta)
    return Results(dataset, histories, compared, tables, provenance, recipes)


def write_report(report: ReportSettings, results: Results, worst: dict[str, Any] | None) -> str:
    """Write the report as Markdown."""
    from receipt_ocr.analysis.report import make_report
    from receipt_ocr.report import render

    pictures = drawing.name_pictures(results, worst)
    return render.render_markdown(make_report(results, pictures), report.language)


def write_page(report: ReportSettings, text: str, *pictures: dict[str, bytes]) -> str:
    """Write the report as one HTML page with its pictures inside."""
    from receipt_ocr.report import html, render

    joined = {path: content for part in pictures for path, content in part.items()}
    return html.render_html(text, joined, render.LANGUAGE_CODES[report.language])
