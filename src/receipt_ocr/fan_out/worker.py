"""The process that runs one job: ``python -m receipt_ocr.fan_out.worker JOB``, JOB as JSON.

Its standard input stays open as long as the process that started it lives. When that one ends,
whatever killed it, this process ends with all its children.
"""

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.fan_out.job import FAILED, PIPELINE, Job


class ResumeTraining:
    """Makes every training resume, whatever its settings say.

    It changes what nodes are given, not the parameters: those are logged as the first try had
    them, because an MLflow run takes each only once.
    """

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs that a node gets in place of its own."""
        changed = {}
        for key, value in inputs.items():
            if isinstance(value, Experiments):
                name, variants = value.selected, value.variants
                training = {**variants[name].get("training", {}), "resume": True}
                own = {**variants[name], "training": training}  # overrules the recipe
                changed[key] = value.model_copy(update={"variants": {**variants, name: own}})
        return changed


def main(text: str) -> int:
    """Run a job, given as JSON; 0 if that went well."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    job = Job(**json.loads(text))
    try:
        bootstrap_project(job.project)
        params = dict(job.params)
        session = KedroSession.create(job.project, env=job.env, runtime_params=params)
        with session:
            if job.resume:
                session._hook_manager.register(ResumeTraining())
            session.run(pipeline_names=[PIPELINE])
    except Exception as error:  # noqa: BLE001  # whatever it was: it belongs into the log
        traceback.print_exc(file=sys.stdout)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{FAILED}{message}", flush=True)  # noqa: T201  # the log is the output
        return 1
    return 0


def _die_with_parent() -> None:
    # Not through sys.stdin, whose lock a waiting thread would hold when the interpreter exits.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
