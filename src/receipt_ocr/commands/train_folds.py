"""The command ``kedro train-folds``."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from receipt_ocr.commands.console import PlainCommand, params_option
from receipt_ocr.fan_out.job import PIPELINE, Job
from receipt_ocr.fan_out.local import LocalExecutor, share_devices
from receipt_ocr.fan_out.on_ray import LOCAL, RayExecutor
from receipt_ocr.fan_out.plan import Fold, parse_folds, plan_folds
from receipt_ocr.fan_out.schedule import Scheduler, Stopped, stop_on_signals
from receipt_ocr.fan_out.tracking import open_runs
from receipt_ocr.hooks import MissingInputs
from receipt_ocr.tracking.environment import describe_environment

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.framework.startup import ProjectMetadata
    from kedro.io import DataCatalog

HEADINGS = ("experiment", "fold", "status", "min", "H-mean", "epoch", "log")


@click.command(name="train-folds", cls=PlainCommand)
@env_option
@click.option(
    "--experiments", default="", metavar="NAME,...", help="Those to train, not just the selected."
)
@click.option(
    "--folds", default="all", show_default=True, metavar="0,2-4|all", help="Folds of each of them."
)
@click.option(
    "--devices",
    metavar="0,1,...",
    help="GPUs of this machine to train on at the same time, one fold each (or --gpus-per-fold).",
)
@click.option(
    "--ray",
    "address",
    is_flag=False,
    flag_value=LOCAL,
    metavar="[ADDRESS]",
    help="Train on Ray: without an address one of its own on this machine; 'auto' for the "
    "cluster that this machine is part of; else HOST:6379.",
)
@click.option(
    "--gpus-per-fold",
    type=click.FloatRange(min=0),
    metavar="NUMBER",
    help="GPUs of each fold.  [default: 1 where there is one]",
)
@click.option(
    "--cpus-per-fold",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="CPUs that a fold asks Ray for, else its threads.  [default on Ray: 4 at most]",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    metavar="NUMBER",
    help="Further tries of a fold that fails; each goes on from its last epoch.",
)
@params_option(
    "Parameters of every fold, as for `kedro run`. resume=false starts over, on a fold's first try."
)
@click.pass_obj
def train_folds(  # noqa: PLR0913, PLR0917  # one argument an option
    metadata: "ProjectMetadata",
    env: str | None,
    experiments: str,
    folds: str,
    devices: str | None,
    address: str | None,
    gpus_per_fold: float | None,
    cpus_per_fold: int | None,
    retries: int,
    params: dict[str, Any],
) -> None:
    """Train all folds of one or more experiments: here, on several GPUs, or on Ray.

    Every fold is a `kedro run --pipeline=train_fold` in a process of its own, with a log beside
    its checkpoints. Folds are trained one after another; with --devices one on each GPU at a time;
    with --ray wherever there is room. A fold that fails is tried again and goes on from its last
    epoch, while the others go on; finished folds are not trained again. Ctrl-C ends all; the same
    command goes on. Ends with exit code 1 if a fold has failed for good.

    In MLflow each fold is a child of its experiment's run.

    On a cluster every machine must see the project, its data and the same Python environment
    under the same paths (shared storage), and MLFLOW_TRACKING_URI should name a server.

    Example: kedro train-folds --env=sroie --experiments lite0,convnext_tiny --folds 0-2
    """
    if address is None and devices is None and gpus_per_fold is not None:
        raise ValueError("--gpus-per-fold goes with --devices or --ray")
    if address is not None and devices is not None:
        raise ValueError("--devices is for this machine alone; on Ray, Ray chooses them")
    each = 1.0 if gpus_per_fold is None else gpus_per_fold
    shares = [] if devices is None else share_devices(devices, each)
    project = Path(metadata.project_path)
    names = [name.strip() for name in experiments.split(",") if name.strip()]
    planned = plan_folds(project, env, params, names, parse_folds(folds))
    runs = open_runs(_open_project(planned[0].job))
    executor = (
        LocalExecutor(shares, cpus_per_fold)
        if address is None
        else RayExecutor(address, cpus=cpus_per_fold, gpus=gpus_per_fold)
    )
    _train(planned, Scheduler(executor, runs, retries, _say), project)
    if any(fold.status == "failed" for fold in planned):
        raise click.exceptions.Exit(1)


def _open_project(job: Job) -> "KedroContext":
    """Open the project's context, after a check that the inputs of a training are there."""
    asked: dict[str, Any] = {"env": job.env, "runtime_params": dict(job.params)}
    context = KedroSession.create(job.project, **asked).load_context()
    catalog = cast("DataCatalog", context.catalog)
    MissingInputs().before_pipeline_run(asked, pipelines[PIPELINE], catalog)
    return context


def _train(folds: list[Fold], scheduler: Scheduler, project: Path) -> None:
    """Train all folds, show what became of them, and leave neither jobs nor open runs."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    tags = {"command": command, **describe_environment(project)}
    try:
        # After the executor is made, since Ray takes the signals for itself when it starts.
        with stop_on_signals(), closing(scheduler.executor):
            scheduler.runs.start(folds, tags)
            scheduler.train(folds)
    except Stopped as stop:
        _say(f"stopped by {stop.name}")
        raise
    finally:  # no process is left: a second Ctrl-C may end the wait for an absent MLflow
        for fold in folds:
            if fold.status in {"waiting", "running"}:
                fold.status = "stopped"
        scheduler.runs.close(folds)
        click.echo("\n".join(["", *tabulate_folds(folds, project)]))


def _say(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def tabulate_folds(folds: Sequence[Fold], project: Path) -> list[str]:
    """Make a line for each fold, and below failed ones the message of their last failure.

    Paths of logs that lie in the project are shown from there.
    """
    rows = [HEADINGS, *(_row(fold, project) for fold in folds)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, fold in zip(rows, [None, *folds], strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
        if fold is not None and fold.message and fold.status != "trained":
            lines.append(f"    {fold.message}")
    return lines


def _row(fold: Fold, project: Path) -> tuple[str, ...]:
    status: str = fold.status
    if status == "failed":
        status = f"failed after {fold.tries} {'try' if fold.tries == 1 else 'tries'}"
    elif status == "trained" and fold.tries > 1:
        status = f"trained in {fold.tries} tries"
    hmean, epoch = fold.after.hmean, fold.after.epoch
    return (
        fold.experiment,
        str(fold.number),
        status,
        f"{fold.seconds / 60:.1f}",
        "-" if hmean is None else f"{hmean:.4f}",
        "-" if epoch is None else str(epoch),
        str(fold.log.relative_to(project) if fold.log.is_relative_to(project) else fold.log),
    )
