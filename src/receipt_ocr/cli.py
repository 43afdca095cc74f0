"""The commands that this project adds to ``kedro``, where Kedro looks for them."""

import click
from kedro.framework.cli.project import run as kedro_run

from receipt_ocr.commands.check import check
from receipt_ocr.commands.compare import compare
from receipt_ocr.commands.console import PlainCommand
from receipt_ocr.commands.experiments import experiments
from receipt_ocr.commands.summary import summary
from receipt_ocr.commands.train_folds import train_folds


@click.group(name="receipt_ocr")
def cli() -> None:
    """Commands of this project."""


run = PlainCommand(
    name=kedro_run.name,
    callback=kedro_run.callback,
    params=kedro_run.params,
    help=kedro_run.help,
    context_settings=kedro_run.context_settings,
)

for command in (check, compare, experiments, run, summary, train_folds):
    cli.add_command(command)
