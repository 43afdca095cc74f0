"""The report of three experiments of five folds: every figure in it against its source on disk.

The sources are read from the files that the stages leave, and computed anew with plain pandas; of
the project only the bootstrap, which has tests of its own, is taken. Whatever table or number of
the report is not compared here makes the test fail.
"""

import base64
import html
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, MemoryDataset
from kedro.runner import SequentialRunner
from mlflow.tracking import MlflowClient
from PIL import Image

from receipt_ocr.analysis.bootstrap import (
    PairedComparison,
    bootstrap_mean,
    bootstrap_share,
    compare_paired,
    compare_unpaired,
    leaderboard_interval,
)
from receipt_ocr.pipelines import reporting
from receipt_ocr.report.settings import ReportSettings
from tests.report.recorded_runs import (
    EARLIER,
    FINAL,
    FOLDS,
    MINE,
    SETTINGS,
    TOLD,
    open_catalog,
    record_all,
)
from tests.report.report_reader import Reader, Table, read_code, read_lines, read_tables

DASH = "\u2013"
FIVE = [f"fold_{fold}" for fold in FOLDS]
BESIDE = ["wide", "deep", "small", "wide@flip"]
SAME = "cannot be told apart"
INTERVAL = "95 % interval"
GAPS = "The gap between validation and leaderboard"
LEARNING = "Learning: too little or too much?"
PLACES = [("out_of_fold", "all folds"), ("holdout", "ensemble"), ("test", "ensemble")]
"""Where an experiment is judged, and by whom."""


def four(value: float | None) -> str:
    return DASH if value is None or np.isnan(value) else f"{value:.4f}"


def signed(value: float) -> str:
    text = f"{value:+.4f}"
    return "0.0000" if text in {"+0.0000", "-0.0000"} else text


def span(low: float, high: float, form: Callable[[float], str] = signed) -> str:
    return f"{form(low)} to {form(high)}"


def beside(found: PairedComparison) -> list[str]:
    return [signed(found.difference), span(found.low, found.high), found.verdict]


class Sources:
    """What the stages left on disk."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.scores = {
            name: pd.read_parquet(workspace / f"08_reporting/{name}/page_scores.parquet")
            for name in BESIDE
        }
        self.own = self.scores[MINE]
        self.words = pd.read_parquet(workspace / f"08_reporting/{MINE}/word_outcomes.parquet")
        self.choices = {
            name: self.json(f"07_model_output/{name}/ensemble/postprocess.json") for name in BESIDE
        }
        self.chosen = self.choices[MINE]
        self.tuned = self.json(f"07_model_output/{MINE}/tuned_postprocess.json")
        self.holdout = self.json(f"07_model_output/{MINE}/holdout_postprocess.json")
        records = (self.json(path) for path in self.list("08_reporting/leaderboard/*.json"))
        told = [record for record in records if record["source"] == "leaderboard"]
        self.told = {record["submission"]: record for record in told}
        self.test_pages = 6

    def json(self, path: str) -> Any:
        return json.loads((self.workspace / path).read_text(encoding="utf-8"))

    def list(self, pattern: str) -> list[str]:
        files = sorted(self.workspace.glob(pattern))
        return [file.relative_to(self.workspace).as_posix() for file in files]

    def rows(self, subset: str, member: str, table: pd.DataFrame | None = None) -> pd.DataFrame:
        """Pages of a member, those of all folds for ``all folds``, in the order of their names."""
        table = self.own if table is None else table
        own = table[table["subset"] == subset]
        own = own if member == "all folds" else own[own["member"] == member]
        return own.set_index("page").sort_index()

    def hmeans(self, subset: str, member: str, table: pd.DataFrame | None = None) -> pd.Series:
        return self.rows(subset, member, table)["hmean"]

    def mean_fold(self, subset: str) -> pd.Series:
        own = self.own[(self.own["subset"] == subset) & self.own["member"].isin(FIVE)]
        return own.groupby("page")["hmean"].mean()

    def submission(self, name: str) -> str:
        """Id of the submission that holds what the ensemble of an experiment found last."""
        content = (self.workspace / f"08_reporting/{name}/submission.csv").read_bytes()
        (made,) = [
            Path(copy).stem.removeprefix("submission_")
            for copy in self.list("08_reporting/submissions/*.csv")
            if (self.workspace / copy).read_bytes() == content
        ]
        return made

    def find_told(self, said: Mapping[str, float]) -> str:
        """Id of the submission of which the leaderboard said so much."""
        (found,) = [i for i, one in self.told.items() if one["hmean"] == said["hmean"]]
        return found

    def untuned(self) -> pd.DataFrame:
        """Page scores of the experiment at the recipe's thresholds."""
        return pd.read_parquet(self.workspace / f"08_reporting/{MINE}/untuned_page_scores.parquet")

    def validation(self, table: pd.DataFrame) -> float:
        """What is known of a submission beforehand: the mean of its folds' out-of-fold scores."""
        means = [self.hmeans("out_of_fold", fold, table).mean() for fold in FIVE]
        return float(np.mean(means))

    def history(self, name: str, fold: str) -> pd.DataFrame:
        return pd.read_csv(self.workspace / f"06_models/{name}/{fold}_history.csv")

    def training(self, name: str, fold: str) -> dict[str, Any]:
        return dict(self.json(f"06_models/{name.partition('@')[0]}/{fold}_training.json"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, empty_tables: Path) -> tuple[Path, str]:
    """Workspace and MLflow database of the recorded runs."""
    folder = tmp_path_factory.mktemp("recorded")
    shutil.copy(empty_tables, folder / "mlflow.db")
    workspace, database = folder / "workspace", f"sqlite:///{folder}/mlflow.db"
    record_all(workspace, database)
    return workspace, database


def make_report(
    workspace: Path, result: str = "report", command: str | None = None, **settings: Any
) -> str:
    """Run the stage as far as a result, the report without its pictures, and read the report."""
    catalog = open_catalog(workspace, **settings)
    if command is not None:
        catalog.load("experiment_store").command = command
    for name in ("history_plot", "score_plot"):  # which the page draws again
        catalog[name] = MemoryDataset()
    SequentialRunner().run(reporting.create_pipeline().to_outputs(result), catalog)
    return (workspace / f"08_reporting/{MINE}/report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(recorded: tuple[Path, str]) -> tuple[str, Sources]:
    """The report, made with MLflow in use, and its sources."""
    workspace, database = recorded
    mlflow.set_tracking_uri(database)
    with mlflow.start_run(run_name="reporting"):
        report = make_report(workspace, "report_page")
    return report, Sources(workspace)


def test_every_figure_is_that_of_its_source(written: tuple[str, Sources]) -> None:
    report, sources = written
    reader = Reader.of(report)
    for check in (
        check_recommendation,
        check_experiments,
        check_differences,
        check_gaps,
        check_next_gains,
        check_folds,
        check_verdicts,
        check_epochs,
        check_balance,
        check_gains,
        check_members,
        check_search,
        check_words,
        check_worst_pages,
        check_data,
        check_settings,
        check_runs,
        check_summary,
    ):
        check(reader, sources)
    assert reader.list_left() == []
    assert "What is missing" not in report


def check_recommendation(reader: Reader, sources: Sources) -> None:
    hmeans = {name: sources.hmeans("holdout", "ensemble", sources.scores[name]) for name in BESIDE}
    best = max(BESIDE, key=lambda name: hmeans[name].mean())
    found = {name: compare_paired(hmeans[best], hmeans[name]) for name in BESIDE if name != best}
    rivals = sorted(found, key=lambda name: found[name].difference)
    rows = [
        [name, sources.choices[name]["source"], *beside(found[name])[:2], "4", found[name].verdict]
        for name in rivals
    ]
    assert {row[1] for row in rows} == {"recipe", "tuned"}
    header = ["against", "its thresholds", "difference", INTERVAL, "pages", f"`{best}` is"]
    reader.compare("Which one to submit", [header, *rows])
    expected = leaderboard_interval(hmeans[best], sources.test_pages)
    reader.strike(
        f"**Submit `{best}` (submission `{sources.submission(best)}`).** Its H-mean is "
        f"{four(hmeans[best].mean())} on the 4 holdout pages, which chose nothing. A leaderboard "
        f"of {sources.test_pages} such pages would show "
        f"{span(expected.low, expected.high, four)} (95 %)."
    )
    unsure = [f"`{name}`" for name in rivals if found[name].verdict != "better"]
    assert 0 < len(unsure) < len(rivals)
    *most, last = unsure
    names = f"{', '.join(most)}{' and ' * bool(most)}{last}"
    reader.strike(f"on the same pages it cannot be told apart from {names}; of these take")


def check_experiments(reader: Reader, sources: Sources) -> None:
    rows, columns = [], []
    for name in BESIDE:
        base, table = name.partition("@")[0], sources.scores[name]
        trainings = [sources.training(base, fold) for fold in FIVE]
        means = [
            sources.rows(subset, member, table)[["precision", "recall", "hmean"]].mean()
            for subset, member in PLACES
        ]
        told = sources.told.get(sources.submission(name), {})
        assert {key: told[key] for key in TOLD.get(name, {})} == TOLD.get(name, {})
        # The view of the same detectors was tuned as they were, but its search is not recorded.
        honest = sources.tuned["cross_fitted_hmean"] if name == MINE else None
        is_timed = name == MINE  # a TTA view of the same detectors takes longer than was timed
        inference = [one.get("inference_seconds_per_page") or 0.0 for one in trainings]
        parameters = np.mean([sum(one["parameters"].values()) for one in trainings])
        rows.append([
            name, four(means[0]["hmean"]), four(honest),
            *(four(mean["hmean"]) for mean in means[1:]), four(told.get("hmean")),
            f"{np.mean(inference):.3f} s" if is_timed else DASH,
            f"{np.mean([one['seconds'] for one in trainings]) / 60:.1f} min",
            f"{parameters / 1e6:.2f} M",
            f"{np.mean([one['checkpoint_bytes'] for one in trainings]) / 1024**2:.1f} MiB",
        ])  # fmt: skip
        peaks = [sources.history(base, fold) for fold in FIVE]
        epochs = [history["epoch"][history["hmean"].idxmax()] for history in peaks]
        column = [f"{np.mean(epochs):.1f}"]
        for mean in [*means, told]:
            column += [four(mean.get(key)) for key in ("precision", "recall")]
        columns.append(column)
    header = ["experiment", "out of fold H", "honest H", "holdout H", "test H", "leaderboard H"]
    header += ["inference of a page", "training of a fold", "parameters", "checkpoint"]
    reader.compare("Experiments", [header, *rows])
    titles = [f"{s} {x}" for s in ("out of fold", "holdout", "test", "leaderboard") for x in "PR"]
    rows = [
        [title, *values] for title, *values in zip(["peak epoch", *titles], *columns, strict=True)
    ]
    reader.compare("Precision and recall of the experiments", [["", *BESIDE], *rows])


def check_gaps(reader: Reader, sources: Sources) -> None:
    verdicts = {"small": "lower than expected", "wide": "as expected", "deep": "as expected"}
    rows = []
    for name in BESIDE[:3]:
        made, table = sources.submission(name), sources.scores[name]
        values, known = sources.hmeans("out_of_fold", "all folds", table), sources.validation(table)
        chance = leaderboard_interval(values, sources.test_pages)
        limits = span(chance.low - values.mean(), chance.high - values.mean())
        own = {made: [*gap_row(known, TOLD[name]["hmean"]), limits, verdicts[name]]}
        if name == MINE:
            earlier = sources.validation(sources.untuned())
            row = gap_row(earlier, EARLIER["hmean"])
            own[sources.find_told(EARLIER)] = [*row, DASH, "of an earlier submission"]
            final = [DASH, four(FINAL["hmean"]), DASH, DASH, "without validation"]
            own[sources.find_told(FINAL)] = final
            assert len(own) == 3
        rows += [[name, f"`{one}`", *own[one]] for one in sorted(own)]
    header = ["experiment", "submission", "out of fold", "leaderboard", "gap", "by chance, 95 %"]
    reader.compare(GAPS, [[*header, "the leaderboard is"], *rows])


def gap_row(known: float, told: float) -> list[str]:
    return [four(known), four(told), signed(told - known)]


# ---- words ---------------------------------------------------------------------------------------

GROUPS = {
    "height": ("text height in pixels", "height"),
    "length": ("characters of the word", "characters"),
    "tilt": ("tilt in degrees", "tilt"),
    "density": ("words on the page", "words_of_page"),
}


def cut(words: pd.DataFrame, by: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of each group: quarters of the true words, fixed steps of their tilt."""
    column = GROUPS[by][1]
    if by == "tilt":
        words = words[(words["tilt"] <= 45) & (words["length"] >= 1.5 * words["height"])]
        edges = [1.0, 3.0, 10.0]
    else:
        ordered = np.sort(words.loc[words["is_true"], column].to_numpy(float))
        quarters = [ordered[int(np.ceil(q * (len(ordered) - 1)))] for q in (0.25, 0.5, 0.75)]
        rounded = {round(edge, 1) for edge in quarters}  # as they are named
        edges = [edge for edge in sorted(rounded) if edge > ordered[0]]
    for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
        own = words[(words[column] >= low) & (words[column] < high)]
        yield name_group(low, high, by), own


def name_group(low: float, high: float, by: str) -> str:
    digits, last = (1 if by == "height" else 0), (high if by in {"height", "tilt"} else high - 1)
    if low == -np.inf:
        return f"{'below' if by in {'height', 'tilt'} else 'up to'} {last:.{digits}f}"
    if high == np.inf:
        return f"{low:.{digits}f} and more"
    return f"{low:.{digits}f}" + (f" to {last:.{digits}f}" if last > low else "")


def share_of(own: pd.DataFrame) -> tuple[float, float, float]:
    """Share of the true words that are missed, with its interval."""
    true = own[own["is_true"]]
    by_page = (true["outcome"] == "missed").groupby(true["page"]).agg(["sum", "count"])
    found = bootstrap_share(by_page["sum"], by_page["count"])
    return found.mean, found.low, found.high


def check_words(reader: Reader, sources: Sources) -> None:
    words = sources.words[sources.words["subset"] == "out_of_fold"]
    true = words[words["is_true"]]
    lost = (true["outcome"] == "missed").sum()
    reader.strike(f"Out of fold, {lost} of {len(true)} words on 20 pages are missed.")
    for by, (title, _) in GROUPS.items():
        rows = []
        for name, own in cut(words, by):
            inside, (share, low, high) = own[own["is_true"]], share_of(own)
            missed = inside.loc[inside["outcome"] == "missed", "characters"].sum()
            wrong = [str((own["outcome"] == kind).sum()) for kind in ("false", "merged")]
            rows.append([
                name, str(len(inside)), f"{share:.2%}", f"{low:.2%} to {high:.2%}",
                f"{(inside['outcome'] == 'split').mean():.2%}",
                f"{missed / true['characters'].sum():.3%}",
                *([] if by == "length" else wrong),
            ])  # fmt: skip
        header = [title, "words", "missed", INTERVAL, "split", "of all characters lost"]
        header += [] if by == "length" else ["false", "merged"]
        reader.compare("Which words are lost", [header, *rows])
    lies = (true["tilt"] <= 45) & (true["length"] >= 1.5 * true["height"])
    rest = true.loc[~lies, "outcome"] == "missed"
    assert len(rest), "the drawn words are to have some without a tilt"
    reader.strike(
        f"{len(rest)} words stand upright or are hardly longer than high, so that they have no "
        f"tilt; {rest.mean():.1%} of them are missed."
    )


def check_next_gains(reader: Reader, sources: Sources) -> None:
    own = sources.rows("out_of_fold", "all folds")
    counts = {name: int(own[name].sum()) for name in own.columns[5:]}

    def gain(**changes: int) -> float:
        new = {name: count + changes.get(name, 0) for name, count in counts.items()}
        return corpus_hmean(new) - corpus_hmean(counts)

    def gain_of_found(characters: int) -> float:
        return gain(characters_matched=characters, characters_detected=characters)

    cuts, joins, false = (
        counts[name] for name in ("recall_penalty", "precision_penalty", "false_positives")
    )
    words = sources.words[sources.words["subset"] == "out_of_fold"]
    true = words[words["is_true"]]
    missed = true[true["outcome"] == "missed"]
    small, group = next(iter(cut(words, "height")))
    share, low, _ = share_of(group)
    rest = true.drop(group.index[group["is_true"]])
    elsewhere = (rest["outcome"] == "missed").mean()
    assert low > 1.5 * elsewhere, "the drawn words are to make small text stand out"
    lost = group.loc[group["is_true"] & (group["outcome"] == "missed"), "characters"].sum()
    rise = np.diff(sources.history(MINE, "fold_0")["hmean"].tail(3)).mean()
    rows = [
        (gain(recall_penalty=-cuts), f"{counts['split']} words were found in pieces ({cuts} cuts)"),
        (gain(precision_penalty=-joins),
         f"{counts['merged']} detections join two words or more ({joins} joins)"),
        (gain(characters_detected=-false),
         f"{counts['false']} detections match no word ({false} characters)"),
        (gain_of_found(int(lost)),
         f"small text (text height in pixels: {small}): {share:.1%} of the words are missed, "
         f"elsewhere {elsewhere:.1%}"),
        (gain_of_found(int(missed["characters"].sum())),
         f"{len(missed)} of {len(true)} words are missed altogether"),
    ]  # fmt: skip
    for most, reason in sorted(rows, reverse=True):
        found = re.search(re.escape(reason) + r": ([^:]*) \(at most \+(\d\.\d{4})\)", reader.prose)
        assert found, reason
        assert found[2] == f"{most:.4f}"
        if reason.startswith("small text"):
            assert "larger frame" in found[1]
        reader.strike(found[0])
    reader.strike(
        f"1 of 5 folds were still rising when they ended, by {rise:.4f} in an epoch: more "
        "`training.epochs` (and `training.schedule_epochs`) may gain more."
    )


def corpus_hmean(counts: Mapping[str, int]) -> float:
    matched = counts["characters_matched"]
    recall = (matched - counts["recall_penalty"]) / counts["characters_truth"]
    precision = (matched - counts["precision_penalty"]) / counts["characters_detected"]
    return 2 * recall * precision / (recall + precision)


# ---- folds and their trainings -------------------------------------------------------------------


def check_folds(reader: Reader, sources: Sources) -> None:
    numbers = pd.DataFrame(
        {
            fold: {
                "pages": len(sources.rows("out_of_fold", fold)),
                "best": sources.history(MINE, fold)["hmean"].idxmax(),
                "epochs": len(sources.history(MINE, fold)),
                **sources.rows("out_of_fold", fold)[["precision", "recall", "hmean"]].mean(),
                "holdout": sources.hmeans("holdout", fold).mean(),
                "test": sources.hmeans("test", fold).mean(),
            }
            for fold in FIVE
        }
    ).T
    numbers["gap"] = numbers["test"] - numbers["hmean"]
    rows = [
        [fold, *(f"{row[name]:.0f}" for name in ("pages", "best", "epochs")),
         *(four(value) for value in row.iloc[3:8]), signed(row["gap"])]
        for fold, row in numbers.iterrows()
    ]  # fmt: skip
    mean, spread = numbers.mean(), numbers.std()
    rows += [
        ["mean of folds", "4", *(f"{value:.1f}" for value in mean.iloc[1:3]),
         *(four(value) for value in mean.iloc[3:8]), signed(mean["gap"])],
        ["standard deviation", "0", *(f"{value:.1f}" for value in spread.iloc[1:3]),
         *(four(value) for value in spread.iloc[3:])],
        ["ensemble", *[DASH] * 6, four(sources.hmeans("holdout", "ensemble").mean()),
         four(sources.hmeans("test", "ensemble").mean()), DASH],
    ]  # fmt: skip
    header = ["", "pages", "best epoch", "epochs trained", "P", "R", "H", "holdout H", "test H"]
    reader.compare("Folds and ensemble", [[*header, "test - out-of-fold"], *rows])


def check_epochs(reader: Reader, sources: Sources) -> None:
    histories = {fold: sources.history(MINE, fold) for fold in FIVE}
    rows = []
    for epoch, size, event in (
        (0, "640", ""),
        (1, "640", ""),
        (2, "960", "*switch*"),
        (3, "960", "fold_3: early stopping"),
        (4, "960", ""),
    ):
        cells = []
        for history in histories.values():
            is_best = epoch == history["hmean"].idxmax()
            text = four(history["hmean"][epoch]) if epoch < len(history) else DASH
            cells.append(f"**{text}**" if is_best else text)
        rows.append([str(epoch), size, *cells, event])
    reader.compare(LEARNING, [["epoch", "size", *FIVE, "events"], *rows])


def check_verdicts(reader: Reader, sources: Sources) -> None:
    verdicts = ["still rising", "past its peak", "level", "past its peak", "level"]
    rows = []
    for fold, verdict in zip(FIVE, verdicts, strict=True):
        history = sources.history(MINE, fold)
        best, last = history.loc[history["hmean"].idxmax()], history.iloc[-1]
        fell = 1 - last["loss"] / best["loss"]
        rows.append([
            fold, f"{best['epoch']:.0f} of {len(history)}", four(best["hmean"]),
            four(last["hmean"]), signed(last["hmean"] - best["hmean"]), f"{fell:.0%}", verdict,
        ])  # fmt: skip
    header = ["fold", "best epoch", "best H", "last H", "since the best", "loss fell since by"]
    reader.compare(LEARNING, [[*header, "the curve is"], *rows])
    reader.strike("Differences up to 0.0005 are called level.")
    known = sources.hmeans("out_of_fold", "all folds")
    found = compare_unpaired(sources.mean_fold("holdout"), known)
    assert found.verdict == SAME
    reader.strike(
        f"On new pages (holdout) single folds score {signed(found.difference)} against their own "
        f"out-of-fold pages (95 % interval {span(found.low, found.high)}): no difference beyond"
    )


def check_balance(reader: Reader, sources: Sources) -> None:
    verdicts = {
        "better": "more is missed than invented",
        "worse": "more is invented or joined than missed",
        SAME: "balanced",
    }
    rows = []
    for subset, member in PLACES:
        own = sources.rows(subset, member)
        found = compare_paired(own["precision"], own["recall"])
        means = [four(own["precision"].mean()), four(own["recall"].mean())]
        title = subset.replace("_", "-")
        rows.append([title, member, str(len(own)), *means, *beside(found)[:2],
                     verdicts[found.verdict]])  # fmt: skip
    header = ["pages of", "member", "pages", "P", "R", "P - R", INTERVAL, "verdict"]
    reader.compare("Precision and recall", [header, *rows])


def best_fold(sources: Sources) -> str:
    return max(FIVE, key=lambda fold: sources.hmeans("test", fold).mean())


def check_gains(reader: Reader, sources: Sources) -> None:
    untuned, best = sources.untuned(), best_fold(sources)
    own = sources.hmeans("test", "ensemble")
    steps = [
        (f"ensemble instead of the best fold, {best}", "6 test", sources.hmeans("test", best), own),
        ("ensemble instead of the mean fold", "6 test", sources.mean_fold("test"), own),
    ]
    steps += [
        (f"ensemble instead of {fold}", "6 test", sources.hmeans("test", fold), own)
        for fold in FIVE
        if fold != best
    ]
    for step, before, after in (
        ("tuned thresholds", untuned, sources.own),
        ("TTA by `flip`", sources.own, sources.scores["wide@flip"]),
    ):
        for subset, member in PLACES:
            sides = [sources.hmeans(subset, member, table) for table in (before, after)]
            pages = f"{len(sides[0])} {subset.replace('_', '-')}"
            steps.append((f"{step} ({member})", pages, *sides))
    rows = [
        [step, pages, four(before.mean()), four(after.mean()),
         *beside(compare_paired(after, before))]
        for step, pages, before, after in steps
    ]  # fmt: skip
    header = ["step", "pages", "H before", "H after", "difference", INTERVAL]
    reader.compare("What each step gained", [[*header, "afterwards it is"], *rows])


def check_members(reader: Reader, sources: Sources) -> None:
    heading, subsets = "How sure the scores are, and errors by kind", [s for s, _ in PLACES]
    kinds = ["missed", "split", "merged", "false"]
    intervals, errors = [], []
    for member in [*FIVE, "all folds", "ensemble"]:
        known = {"all folds": subsets[:1], "ensemble": subsets[1:]}.get(member, subsets)
        found = {subset: sources.rows(subset, member) for subset in known}
        limits = {subset: bootstrap_mean(own["hmean"]) for subset, own in found.items()}
        spans = {subset: span(one.low, one.high, four) for subset, one in limits.items()}
        counts = {s: "/".join(str(own[kind].sum()) for kind in kinds) for s, own in found.items()}
        intervals.append([member, *(spans.get(subset, DASH) for subset in subsets)])
        errors.append([member, *(counts.get(subset, DASH) for subset in subsets)])
    header = ["out of fold", "holdout", "test"]
    reader.compare(heading, [[f"{INTERVAL} of H", *header], *intervals])
    reader.compare(heading, [["missed/split/merged/false", *header], *errors])
    told = leaderboard_interval(sources.hmeans("out_of_fold", "all folds"), sources.test_pages)
    reader.strike(
        "A leaderboard of 6 such pages would show a single fold "
        f"{span(told.low, told.high, four)} (95 %)"
    )


def check_summary(reader: Reader, sources: Sources) -> None:
    own, best = sources.hmeans("test", "ensemble"), best_fold(sources)
    found, means = bootstrap_mean(own), [sources.hmeans("test", fold).mean() for fold in FIVE]
    reader.strike(
        f"The ensemble of folds 0, 1, 2, 3 and 4 scores {four(own.mean())} on the 6 test pages "
        f"(95 % interval {span(found.low, found.high, four)}), its members alone "
        f"{span(min(means), max(means), four)}."
    )
    for name, other in (
        (f"best fold, {best}", sources.hmeans("test", best)),
        ("mean fold", sources.mean_fold("test")),
    ):
        compared = compare_paired(own, other)
        verdict = {SAME: f"{SAME} from"}.get(compared.verdict, f"is {compared.verdict} than")
        reader.strike(f"{verdict} the {name} ({signed(compared.difference)})")
    trusted = four(sources.hmeans("holdout", "ensemble").mean())
    reader.strike(f"Trust the holdout score, {trusted}: its pages chose neither an epoch nor")
    known = [sources.hmeans("out_of_fold", fold).mean() for fold in FIVE]
    gap = np.mean(means) - np.mean(known)
    reader.strike(
        f"The folds' test score lies {abs(gap):.4f} {'above' if gap > 0 else 'below'} the "
        "out-of-fold one on average (standard deviation between folds "
        f"{np.std(known, ddof=1):.4f})."
    )
    reader.strike("**Fewer than 30 pages make every interval here too narrow.**")


# ---- the rest ------------------------------------------------------------------------------------


def check_search(reader: Reader, sources: Sources) -> None:
    tuned, holdout, heading = sources.tuned, sources.holdout, "Post-processing"
    recipe, ends = sources.chosen["recipe"], {
        "thresh": ["0.3", "at least 0.36"],
        "box_thresh": ["at least 0.2", "0.46"],
    }  # fmt: skip
    assert tuned["sensitivity"]["box_thresh"]["is_open_below"]
    rows = [
        [name, str(value), str(recipe[name]), *ends.get(name, [DASH, DASH])]
        for name, value in sources.chosen["postprocess"].items()
    ]
    header = ["setting", "in use", "recipe", "alone down to", "alone up to"]
    reader.compare(heading, [header, *rows])
    scores = {
        "at the recipe's settings": "recipe_hmean",
        "at the best point of the grid": "grid_hmean",
        "after the refinement": "chosen_hmean",
        "each fold at the point chosen on the others (honest)": "cross_fitted_hmean",
    }
    rows = [[title, four(tuned[name])] for title, name in scores.items()]
    reader.compare(heading, [["H-mean on the out-of-fold pages", ""], *rows])
    names = ["thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size"]
    rows = [
        [title, *(f"{found[name]:g}" for name in names), four(holdout[hmean])]
        for title, found, hmean in (
            ("tuned out of fold", tuned["postprocess"], "transferred_hmean"),
            ("tuned on these pages (too good)", holdout["postprocess"], "chosen_hmean"),
        )
    ]
    reader.compare(heading, [["settings", *names, "holdout H-mean"], *rows])
    optimism = tuned["chosen_hmean"] - tuned["cross_fitted_hmean"]
    table = pd.read_csv(sources.workspace / f"07_model_output/{MINE}/tuning_table.csv")
    assert table["thresh"].max() == tuned["postprocess"]["thresh"]
    for sentence in (
        f"Tuned on {tuned['pages']} pages of fold_0, fold_1, fold_2, fold_3 and fold_4.",
        f"flatters the score by {optimism:.4f}.",
        "thresh = 0.36 is the highest tried",
        "before H-mean falls by 0.0005.",
        f"The ensemble's maps of the {holdout['pages']} holdout pages,",
        f"{four(holdout['recipe_hmean'])} at the recipe's settings.",
    ):
        reader.strike(sentence)


def check_worst_pages(reader: Reader, sources: Sources) -> None:
    kinds = ["characters_truth", "missed", "split", "merged", "false"]
    own = sources.rows("test", "ensemble").reset_index().sort_values(["hmean", "page"])
    rows = [
        [row["page"], *(four(row[name]) for name in ("precision", "recall", "hmean")),
         *(str(row[kind]) for kind in kinds)]
        for _, row in own.iterrows()
    ]  # fmt: skip
    header = ["page", "P", "R", "H", "true characters", *kinds[1:]]
    reader.compare("The ensemble's worst test pages", [header, *rows])


def check_data(reader: Reader, sources: Sources) -> None:
    pages, words, rejected = (
        pd.read_parquet(sources.workspace / f"02_intermediate/{name}.parquet")
        for name in ("pages", "words", "rejected")
    )
    rows = []
    for subset in ("train", "holdout", "test"):
        own, lost = words[words["subset"] == subset], rejected[rejected["subset"] == subset]
        of_page = (pages["subset"] == subset).sum()
        of_words = [(lost["word"] == "").sum(), (lost["word"] != "").sum()]
        blank = of_page - own["page"].nunique()
        rows.append([subset, *(str(number) for number in (of_page, len(own), blank, *of_words))])
    header = ["subset", "pages", "words", "pages without words", "rejected pages", "rejected words"]
    reader.compare("Data", [header, *rows])
    reader.strike("Rejected for: zero_area 2, image_missing 1.")


def check_differences(reader: Reader, sources: Sources) -> None:
    del sources  # what is configured is no record
    recipe = SETTINGS["experiments"].recipe
    own = {"network.encoder": [recipe.network.encoder] * len(BESIDE)}
    own["frame.sizes"] = ["; ".join(f"epoch {s.epoch}, size {s.size}" for s in recipe.frame.sizes)]
    own["frame.sizes"] *= len(BESIDE)
    own["training.batch_size"] = [str(recipe.training.batch_size)] * len(BESIDE)
    own["test_time.flips"] = ["[]"] * len(BESIDE)
    own["network.encoder"][BESIDE.index("deep")] = "resnet50"
    own["frame.sizes"][BESIDE.index("small")] = "epoch 0, size 320"
    own["training.batch_size"][BESIDE.index("small")] = "2"
    own["test_time.flips"][BESIDE.index("wide@flip")] = "['horizontal']"
    rows = [[setting, *values] for setting, values in own.items()]
    reader.compare("What the experiments differ in", [["setting", *BESIDE], *rows])


def check_settings(reader: Reader, sources: Sources) -> None:
    recipe = SETTINGS["experiments"].chosen.model_dump(mode="json")
    lines = []
    for block, values in recipe.items():
        for name, value in values.items():
            text = str(value)
            if name == "sizes":
                text = "; ".join(f"epoch {one['epoch']}, size {one['size']}" for one in value)
            lines.append(f"{block}.{name}: {text}")
    view = {"flips": [], "turns": [], "scales": [1.0], "mean": "probability"}
    lines += [f"test_time.{name}: {value}" for name, value in view.items()]
    lines.append("ensemble.mean: probability")
    weights = sources.chosen["members"]["weights"]
    lines += [f"ensemble.weights.{f}: {four(w)}" for f, w in zip(FIVE, weights, strict=True)]
    assert reader.code("Settings") == lines


def check_runs(reader: Reader, sources: Sources) -> None:
    """Every entry's run is the one that is recorded beside it, and MLflow has it."""
    rows: dict[str, list[str]] = {}
    client = MlflowClient()
    paths = [*sources.list("08_reporting/*/runs/*.json"), *sources.list("08_reporting/runs/*.json")]
    for path in paths:
        entry, record = Path(path).stem, sources.json(path)
        name = Path(path).parent.parent.name
        is_shared = name == "08_reporting"
        is_beside = entry == "page_scores" or entry.endswith(("_history", "_training_record"))
        if not (is_shared or name == MINE or is_beside):
            continue
        title = entry if is_shared or name == MINE else f"{name}/{entry}"
        rows[title] = [record["run_id"], record["pipeline"], record["commit"][:10], record["saved"]]
        whose = "all" if is_shared else name
        found = client.get_run(record["run_id"]).info.run_name
        assert found.startswith(f"{whose} {record['pipeline']}")
    assert {"pages", "page_scores", "small/page_scores", "wide@flip/page_scores"} < rows.keys()
    (table,) = reader.tables.pop("Where the figures come from")
    assert table[0] == ["MLflow run", "pipeline", "commit", "written", "catalog entries"]
    listed = {
        entry.strip("`"): [run.strip("`"), *others]
        for run, *others, entries in table[1:]
        for entry in entries.split(", ")
    }
    assert listed == rows


def test_what_nobody_compares_is_noticed() -> None:
    table = "| x |  |\n| :--- | ---: |\n| 1 | 2\\|3 |"
    text = f"# a\n\nHere 0.5.\n\n## B\n\n{table}\n\nOf 10 are 0.25.\n"
    reader = Reader.of(text)
    assert reader.list_left()[0] == "B"
    assert len(reader.list_left()) == 3
    with pytest.raises(AssertionError):
        reader.strike("Here 0.6")
    reader.strike("Of 10 are 0.25.")
    with pytest.raises(AssertionError):
        reader.compare("B", [["x", ""], ["1", "2"]])
    with pytest.raises(AssertionError):
        reader.compare("B", [["x", ""], ["1", "2"]])  # was struck out
    again = Reader.of(text)
    again.compare("B", [["x", ""], ["1", "2\\|3"]])
    assert len(again.list_left()) == 2


# ---- the page ------------------------------------------------------------------------------------


def test_the_page_needs_no_network_and_holds_everything(written: tuple[str, Sources]) -> None:
    report, sources = written
    file = sources.workspace / f"08_reporting/{MINE}/report.html"
    page = file.read_text(encoding="utf-8")
    assert file.stat().st_size < 10_000_000
    assert not re.search(r"https?://|<script|<link|src=\"(?!data:)", page)
    summaries = re.findall(r"^<details><summary>(.*)</summary>$", report, flags=re.MULTILINE)
    assert len(summaries) > 12
    found = re.findall(r"<details><summary>(.*?)</summary>", page)
    assert [html.unescape(text) for text in found] == summaries
    assert page.count("</details>") == len(summaries)
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", report)
    inside = re.findall(r'<img src="data:image/\w+;base64,([^"]+)" alt="(.*?)"', page)
    assert [caption for caption, _ in shown] == [alt for _, alt in inside]
    for content, _ in inside:
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert min(picture.size) > 150
    assert page.count("<table>") == sum(map(len, read_tables(report).values()))


# ---- what is missing or broken -------------------------------------------------------------------


@pytest.fixture
def copy(recorded: tuple[Path, str], tmp_path: Path) -> Path:
    """A workspace to break, without the tables that take most of a report's time."""
    workspace = Path(shutil.copytree(recorded[0], tmp_path / "workspace"))
    catalog = open_catalog(workspace)
    catalog.save("untuned_page_scores", catalog.load("untuned_page_scores").iloc[:0])
    words = catalog.load("word_outcomes")
    catalog.save("word_outcomes", words[words["subset"] == "test"])
    return workspace


def list_missing(report: str) -> list[str]:
    """The sentences of the section on what is missing."""
    return read_lines(report, "What is missing")


ALONE = ReportSettings(experiments=(MINE,))


def test_without_a_leaderboard_the_gap_is_not_known(copy: Path) -> None:
    shutil.rmtree(copy / "08_reporting/leaderboard")
    report = make_report(copy, report=ALONE)
    (sentence,) = list_missing(report)
    assert sentence.startswith("No leaderboard score: `kedro run --pipeline=leaderboard --params ")
    assert GAPS not in read_tables(report)
    assert "leaderboard H" not in read_tables(report)["Experiments"][0][0]


def test_a_fold_that_does_not_vote_is_named_and_in_no_mean(copy: Path) -> None:
    voting = [fold for fold in FIVE if fold != "fold_3"]
    catalog = open_catalog(copy)
    for entry in ("page_scores", "untuned_page_scores", "word_outcomes", "scores"):
        table = catalog.load(entry)
        catalog.save(entry, table[table["member"] != "fold_3"])
    chosen = catalog.load("chosen_postprocess")
    members = chosen.members.model_copy(update={"names": tuple(voting), "weights": (0.25,) * 4})
    catalog.save("chosen_postprocess", chosen.model_copy(update={"members": members}))
    for file in (copy / f"06_models/{MINE}").glob("fold_3*"):
        file.unlink()
    members = SETTINGS["ensemble"].model_copy(update={"members": (0, 1, 2, 4)})
    report = make_report(copy, report=ALONE, ensemble=members)
    assert list_missing(report) == ["Fold 3 does not vote."]
    tables = read_tables(report)
    assert [row[0] for row in tables["Folds and ensemble"][0][1:5]] == voting
    known = pd.read_parquet(copy / f"08_reporting/{MINE}/page_scores.parquet")
    mean = known.loc[known["subset"] == "out_of_fold", "hmean"].mean()
    assert tables["Experiments"][0][1][:2] == [MINE, four(mean)]
    assert "These are not the members that vote: run tuning again." in report


def test_a_deleted_run_is_named_with_what_it_wrote(
    copy: Path, recorded: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copy(recorded[1].removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    record = json.loads((copy / f"08_reporting/{MINE}/runs/fold_2_history.json").read_text())
    MlflowClient().delete_run(record["run_id"])
    with mlflow.start_run(run_name="reporting"):
        report = make_report(copy, report=ALONE)
    assert list_missing(report) == [
        f"MLflow no longer has run `{record['run_id']}`, which wrote fold_2_checkpoint, "
        "fold_2_history and fold_2_training_record; the figures stand, their run cannot be looked "
        "at."
    ]
    rows = {row[4]: row[0] for row in read_tables(report)["Where the figures come from"][0]}
    (run,) = [run for entries, run in rows.items() if "fold_2_history" in entries]
    assert run == f"`{record['run_id']}` (deleted)"
    assert sum("deleted" in run for run in rows.values()) == 1


def test_trainings_without_a_record_leave_their_columns_out(copy: Path) -> None:
    for file in (copy / f"06_models/{MINE}").glob("*_training.json"):
        file.unlink()
    report = make_report(copy, report=ALONE)
    (sentence,) = list_missing(report)
    assert sentence.startswith(
        "No record of the training of fold_0, fold_1, fold_2, fold_3 and fold_4"
    )
    tables = read_tables(report)
    assert not {"parameters", "training of a fold", "checkpoint"} & set(tables["Experiments"][0][0])
    peaks = tables["Precision and recall of the experiments"][0][1]
    assert peaks == ["peak epoch", "3.2"]  # of the histories


def test_words_that_were_not_recorded_are_asked_for(copy: Path) -> None:
    (copy / f"08_reporting/{MINE}/word_outcomes.parquet").unlink()
    report = make_report(copy, report=ALONE)
    assert list_missing(report) == [
        "No record of single words: `kedro run --pipeline=ensemble` makes it."
    ]
    assert "Which words are lost" not in read_tables(report)


def test_an_experiment_judged_by_other_words_is_left_out_with_the_reason(copy: Path) -> None:
    catalog = open_catalog(copy, "deep")
    table = catalog.load("page_scores")
    table.loc[table["page"] == "test_2.png", "characters_truth"] += 1
    catalog.save("page_scores", table)
    (copy / "07_model_output/small/ensemble/postprocess.json").unlink()
    report = make_report(copy, report=ReportSettings(experiments=("deep", "small", "wide@flip")))
    first, second = sorted(list_missing(report))
    assert first.startswith(
        "Experiment `deep` is left out: 1 pages were judged by other true words: test_2.png (test)"
    )
    assert second == (
        "Experiment `small` is left out: it has no scores; run --pipeline=ensemble for it."
    )
    assert [row[0] for row in read_tables(report)["Experiments"][0][1:]] == [MINE, "wide@flip"]


def break_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40])


def test_an_experiment_with_a_damaged_record_is_left_out_with_the_reason(copy: Path) -> None:
    break_file(copy / "06_models/deep/fold_2_training.json")
    break_file(copy / "08_reporting/small/page_scores.parquet")
    report = make_report(copy, report=ReportSettings(experiments=("deep", "small")))
    first, second = list_missing(report)
    assert "Experiment `deep` is left out: " in first
    assert "06_models/deep/fold_2_training.json is no JSON (" in first
    assert "Experiment `small` is left out: " in second
    assert "08_reporting/small/page_scores.parquet is damaged (" in second
    assert [row[0] for row in read_tables(report)["Experiments"][0][1:]] == [MINE]


def test_a_broken_record_of_its_own_is_an_error_that_names_the_file(copy: Path) -> None:
    break_file(copy / f"06_models/{MINE}/fold_2_training.json")
    message = r"fold_2_training\.json is no JSON .*; mend or delete it, or write it again"
    with pytest.raises(DatasetError, match=message):
        make_report(copy, report=ALONE)


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("leaderboard", None),
        ("leaderboard", "source"),
        ("leaderboard", "hmean"),
        ("submissions", None),
        ("submissions", "made"),
        ("submissions", "members"),
    ],
)
def test_a_record_that_is_broken_or_lacks_a_key_is_named_and_the_others_stand(
    copy: Path, folder: str, key: str | None
) -> None:
    file = copy / f"08_reporting/{folder}/{Sources(copy).submission(MINE)}.json"
    if key is None:
        break_file(file)
    else:
        change(file, {key: None})
    report = make_report(copy, report=ALONE)
    (sentence,) = list_missing(report)
    fault = "is no JSON (" if key is None else f"lacks {key}"
    assert "A record cannot be read and is left out: " in sentence
    assert f"08_reporting/{folder}/{file.name} {fault}" in sentence
    assert "; mend or delete it, or write it again with --pipeline=" in sentence
    check_without_a_score(report)


def change(file: Path, changes: Mapping[str, Any]) -> None:
    """Give a JSON file other values; those that are None are taken out."""
    record = json.loads(file.read_text(encoding="utf-8")) | changes
    left = {key: value for key, value in record.items() if value is not None}
    file.write_text(json.dumps(left), encoding="utf-8")


def check_without_a_score(report: str) -> None:
    """The experiment has no leaderboard score, the other two submissions keep theirs."""
    tables = read_tables(report)
    assert "leaderboard H" not in tables["Experiments"][0][0]
    told = {row[3]: row[-1] for row in tables[GAPS][0][1:]}
    own = four(TOLD[MINE]["hmean"])  # with the submission's record gone, it is one among others
    assert told.pop(own, "of an earlier submission") == "of an earlier submission"
    assert told == {
        four(EARLIER["hmean"]): "of an earlier submission",
        four(FINAL["hmean"]): "without validation",
    }


def test_a_score_of_an_earlier_submission_is_no_score_of_this_one(copy: Path) -> None:
    made = Sources(copy).submission(MINE)
    (copy / f"08_reporting/leaderboard/{made}.json").unlink()
    report = make_report(copy, report=ALONE)
    assert "What is missing" not in report
    assert f"**Submit `{MINE}` (submission `{made}`).**" in report
    check_without_a_score(report)


def test_a_final_fit_is_not_submitted_for_the_ensemble(copy: Path) -> None:
    sources = Sources(copy)
    (copy / f"08_reporting/submissions/{sources.submission(MINE)}.json").unlink()
    report = make_report(copy, report=ALONE)
    assert f"**Submit `{MINE}`.**" in report
    final = sources.find_told(FINAL)
    assert sources.json(f"08_reporting/submissions/{final}.json")["kind"] == "final"
    assert report.count(final) == 1  # in the table of gaps
    check_without_a_score(report)


def test_a_fold_that_was_trained_after_the_scores_is_named(copy: Path) -> None:
    scored = Sources(copy).json(f"07_model_output/{MINE}/ensemble/postprocess.json")
    folder = copy / f"07_model_output/{MINE}/fold_2/out_of_fold_maps"
    folder.mkdir(parents=True, exist_ok=True)
    index = {"source": "0123456789abcdef", "pages": {}}
    (folder / "frames.json").write_text(json.dumps(index))
    (sentence,) = list_missing(make_report(copy, report=ALONE))
    assert sentence.startswith("fold_2: trained again after these scores were made.")
    assert "`kedro run --pipeline=ensemble`" in sentence
    index["source"] = scored["members"]["sources"]["fold_2"]
    (folder / "frames.json").write_text(json.dumps(index))
    assert "What is missing" not in make_report(copy, report=ALONE)


@pytest.mark.parametrize("entry", ["chosen_postprocess", "scores", "word_outcomes"])
def test_thresholds_and_scores_of_different_runs_are_told(copy: Path, entry: str) -> None:
    change(copy / f"08_reporting/{MINE}/runs/{entry}.json", {"run_id": "0" * 32})
    (sentence,) = list_missing(make_report(copy, report=ALONE))
    assert sentence.startswith("Thresholds and scores are of different runs, as after one that")


def test_an_unknown_experiment_is_an_error_that_lists_the_known_ones(copy: Path) -> None:
    message = (
        r"report\.experiments names broad, thin, which has no scores; there are: "
        r"deep, small, wide, wide@flip\."
    )
    with pytest.raises(ValueError, match=message):
        make_report(copy, report=ReportSettings(experiments=("broad", "deep", "thin")))


def test_a_look_with_other_thresholds_is_named_and_not_compared(copy: Path) -> None:
    chosen = copy / "07_model_output/wide@flip/ensemble/postprocess.json"
    change(chosen, {"source": "recipe", "postprocess": Sources(copy).chosen["recipe"]})
    report = make_report(copy, report=ReportSettings(experiments=("wide@flip",)))
    assert (
        "Not compared, because other folds vote or only one of the two is tuned: `wide@flip`."
        in report
    )
    steps = [row[0] for row in read_tables(report)["What each step gained"][0][1:]]
    assert len(steps) == 6
    assert not any("flip" in step for step in steps)
    assert [row[0] for row in read_tables(report)["Experiments"][0][1:]] == [MINE, "wide@flip"]


def test_commands_are_those_of_the_environment(copy: Path) -> None:
    shutil.rmtree(copy / "08_reporting/leaderboard")
    (copy / f"08_reporting/{MINE}/word_outcomes.parquet").unlink()
    (copy / f"07_model_output/{MINE}/tuned_postprocess.json").unlink()
    change(copy / f"08_reporting/{MINE}/runs/scores.json", {"run_id": "0" * 32})
    report = make_report(copy, command="kedro run --env=demo", report=ALONE)
    commands = read_code(report, "How to repeat it")
    assert len(commands) == 2 + len(FIVE) + 3
    assert f"--pipeline=train_fold --params fold=2,experiment={MINE}" in commands[4]
    assert all(line.startswith("kedro run --env=demo --pipeline=") for line in commands)
    assert len(list_missing(report)) == 4
    assert all("`kedro run --env=demo --pipeline=" in lack for lack in list_missing(report))
    assert "kedro run --pipeline" not in report


def test_a_history_that_is_gone_leaves_its_fold_with_its_scores(copy: Path) -> None:
    (copy / f"06_models/{MINE}/fold_1_history.csv").unlink()
    report = make_report(copy, report=ALONE)
    assert list_missing(report) == ["The epochs of fold_1 are not known."]
    tables: dict[str, list[Table]] = read_tables(report)
    row = tables["Folds and ensemble"][0][2]
    assert row[:4] == ["fold_1", "4", DASH, DASH]
    assert DASH not in row[4:]
    assert "fold_1" not in tables[LEARNING][1][0]
