"""The command ``kedro train-folds``."""

import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.utils import _split_params, env_option
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from receipt_ocr.commands.console import PlainCommand
from receipt_ocr.fan_out.local import LocalCrew, share_devices
from receipt_ocr.fan_out.on_ray import LOCAL, RayCrew
from receipt_ocr.fan_out.plan import PIPELINE, Fold, parse_folds, plan_folds
from receipt_ocr.fan_out.process import Order
from receipt_ocr.fan_out.schedule import Crew, Outcome, Stopped, stop_on_signals, train_folds
from receipt_ocr.fan_out.summary import tabulate_outcomes
from receipt_ocr.fan_out.tracking import FanOutRuns, open_runs
from receipt_ocr.hooks import MissingInputs

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.framework.startup import ProjectMetadata
    from kedro.io import DataCatalog

__all__ = ["train_folds_command"]


@click.command(name="train-folds", cls=PlainCommand)
@env_option
@click.option(
    "--experiments",
    default="",
    metavar="NAME,...",
    help="Experiments to train; without it the one that the environment selects.",
)
@click.option(
    "--folds", default="all", show_default=True, metavar="0,2-4|all", help="Folds of each of them."
)
@click.option(
    "--devices",
    default=None,
    metavar="0,1,...",
    help="GPUs of this machine to train on at the same time, one fold each (or --gpus-per-fold).",
)
@click.option(
    "--ray",
    "address",
    is_flag=False,
    flag_value=LOCAL,
    default=None,
    metavar="[ADDRESS]",
    help="Train on Ray: without an address one of its own on this machine; 'auto' for the "
    "cluster that this machine is part of; else HOST:6379.",
)
@click.option(
    "--gpus-per-fold",
    type=click.FloatRange(min=0),
    default=None,
    metavar="NUMBER",
    help="GPUs of each fold.  [default: 1 where there is one]",
)
@click.option(
    "--cpus-per-fold",
    type=click.IntRange(min=1),
    default=None,
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
@click.option(
    "--params",
    default="",
    callback=_split_params,
    metavar="KEY=VALUE,...",
    help="Parameters of every fold, as for `kedro run`. resume=false starts over, on a fold's "
    "first try.",
)
@click.pass_obj
def train_folds_command(  # noqa: PLR0913, PLR0917  # one argument an option
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
    shares = _share(devices, address, gpus_per_fold)
    project = Path(metadata.project_path)
    names = [name.strip() for name in experiments.split(",") if name.strip()]
    planned = plan_folds(project, env, params, names, parse_folds(folds))
    context = _open_project(project, env, planned[0])
    crew: Crew
    if address is None:
        crew = LocalCrew(shares, cpus_per_fold)
    else:
        crew = RayCrew(address, cpus=cpus_per_fold, gpus=gpus_per_fold)
    outcomes = [Outcome(fold.on_gpus() if crew.has_gpus else fold) for fold in planned]
    signal_number = _train(outcomes, crew, context, retries)
    click.echo("\n".join(["", *tabulate_outcomes(outcomes, project)]))
    if signal_number:
        raise click.exceptions.Exit(128 + signal_number)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _share(devices: str | None, address: str | None, each: float | None) -> list[list[str]]:
    """The devices of each fold that is trained at a time on this machine; none without any."""
    if devices is None:
        if address is None and each is not None:
            raise ValueError("--gpus-per-fold goes with --devices or --ray")
        return []
    if address is not None:
        raise ValueError("--devices is for this machine alone; on Ray, Ray chooses them")
    if each is not None and not each.is_integer():
        raise ValueError(f"--gpus-per-fold must be a whole number with --devices, got {each:g}")
    return share_devices(devices, 1 if each is None else int(each))


def _open_project(project: Path, env: str | None, fold: Fold) -> "KedroContext":
    """The project's context, once the inputs of the training are seen to be there."""
    params = dict(fold.params)
    session = KedroSession.create(project, env=env, runtime_params=params)
    context = session.load_context()
    asked = {"env": env, "runtime_params": params}
    catalog = cast("DataCatalog", context.catalog)
    MissingInputs().before_pipeline_run(asked, pipelines[PIPELINE], catalog)
    return context


def _train(outcomes: list[Outcome], crew: Crew, context: "KedroContext", retries: int) -> int:
    """Train all folds, and leave neither processes nor open runs; the signal that stopped it, or 0.

    The signals come last: Ray, when it starts, takes them for itself.
    """
    runs: FanOutRuns | None = None
    number = 0
    try:
        with stop_on_signals():
            try:
                command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
                runs = open_runs(context, [outcome.fold for outcome in outcomes], command)
                make_order = partial(_make_order, context, runs, retries)
                for ended in train_folds(outcomes, crew, make_order, retries, _say):
                    if runs is not None:
                        runs.end(ended.fold, has_failed=ended.status == "failed")
            finally:
                crew.stop()
    except Stopped as stop:
        _say(str(stop))
        number = stop.number
    finally:  # no process is left: a second Ctrl-C may end the wait for an absent MLflow
        _close(outcomes, runs)
    return number


def _close(outcomes: list[Outcome], runs: FanOutRuns | None) -> None:
    for outcome in outcomes:
        if outcome.status in {"waiting", "running"}:
            outcome.status = "stopped"
    if runs is not None:
        runs.close(was_stopped=any(outcome.status == "stopped" for outcome in outcomes))


def _make_order(
    context: "KedroContext",
    runs: FanOutRuns | None,
    retries: int,
    outcome: Outcome,
    goes_on: bool,
) -> Order:
    fold = outcome.fold
    # With the name, since kedro-mlflow gives a run the name of the pipeline otherwise.
    run_id = None if runs is None else runs.open(fold)
    run = {} if run_id is None else {"mlflow_run_id": run_id, "mlflow_run_name": fold.name}
    return Order(
        name=fold.name,
        project=str(context.project_path),
        env=context.env,
        params={**fold.params, **run},
        pipeline=PIPELINE,
        resume=goes_on,
        title=f"{fold.name}, try {outcome.tries} of {retries + 1}",
        log=str(fold.log),
        folder=str(Path.cwd()),
        variables={},
    )


def _say(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")
