"""The process that trains one fold: ``python -m receipt_ocr.fan_out.session NAME``.

The order comes as a line of JSON on the standard input. The input then stays open as long as the
process that gave the order lives: its end, whatever killed it, ends this one and all its children.
"""

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from kedro.framework.hooks import hook_impl

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.fan_out.process import FAILED

__all__ = ["ResumeTraining", "main"]

LONGEST_LINE = 1 << 20


class ResumeTraining:
    """Makes every training resume, whatever its settings say.

    Parameters are logged as they were given, since a run takes each of them only once.
    """

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Settings to give to a node in place of those that it would get."""
        return {
            name: _resumed(value)
            for name, value in inputs.items()
            if isinstance(value, Experiments)
        }


def main() -> int:
    """Train the fold of the order; 0 if that went well."""
    order = json.loads(_read_line())
    threading.Thread(target=_end_with_the_giver, daemon=True).start()
    try:
        _run(order)
    except Exception as error:  # noqa: BLE001  # whatever it was: it belongs into the log
        traceback.print_exc(file=sys.stdout)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{FAILED}{message}", flush=True)  # noqa: T201  # the log is the output
        return 1
    return 0


def _run(order: dict[str, Any]) -> None:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(order["project"])
    session = KedroSession.create(
        order["project"], env=order["env"], runtime_params=order["params"]
    )
    with session:
        if order["resume"]:
            session._hook_manager.register(ResumeTraining())
        session.run(pipeline_names=[order["pipeline"]])


def _resumed(experiments: Experiments) -> Experiments:
    changes = {"training": {"resume": True}}
    name, recipe = experiments.selected, experiments.recipe
    training = recipe.training.model_copy(update=changes["training"])
    variant = dict(experiments.variants[name])
    if "training" in variant:
        variant["training"] = {**variant["training"], **changes["training"]}
    return experiments.model_copy(
        update={
            "recipe": recipe.model_copy(update={"training": training}),
            "variants": {**experiments.variants, name: variant},
        }
    )


def _read_line() -> bytes:
    """A line of the standard input, and not a byte more."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte or len(line) > LONGEST_LINE:
            raise ValueError("the standard input holds no order")
        line += byte
    return line


def _end_with_the_giver() -> None:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
