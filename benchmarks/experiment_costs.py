"""Costs of each experiment: parameters, operations, time and memory of a training step.

``python -m benchmarks.experiment_costs`` prints a Markdown table. Every network is measured in a
process of its own, on one page of the contest's usual 960 x 1200 pixels in the experiment's final
frame, with random weights: neither images nor a model hub are needed.
"""

import argparse
import os
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sroie import read_experiments
from benchmarks.timing import best_time
from benchmarks.training_step import prepare_step
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.report.markdown import NOTHING, format_table
from receipt_ocr.training.module import DetectorModule

PAGE = (960, 1200)
"""Width and height of a usual page."""
BASELINE = "convnext_tiny"
ADAM_STATES = 2
"""Numbers that Adam keeps for each weight, and a training's checkpoint with it."""


@dataclass(frozen=True)
class Cost:
    """Costs of one experiment: numbers of parameters, bytes, and those of a step on one page."""

    frame: tuple[int, int]
    """Width and height of the measured page in its frame, pixels."""
    classifier: int
    """Parameters of the whole ImageNet classifier that the encoder is part of."""
    encoder: int
    decoder: int
    head: int
    operations: float
    """Floating point operations of the forward pass, a multiplication and an addition being two."""
    seconds: float
    """Forward, loss, backward, optimiser."""
    memory: int | None
    """Bytes that the process grew by at most; None where the system does not tell."""
    weights: int
    checkpoint: int
    """Bytes of a training's checkpoint, with Adam's states and any moving average."""


def measure_cost(
    recipe: Recipe, size: int | None = None, rounds: int = 3, threads: int = 1
) -> Cost:
    """Measure one experiment, in a process that has done nothing else for the memory to be right.

    ImageNet weights are not loaded. ``size`` is the longest side of the page in pixels; None takes
    the recipe's final one. The best of the rounds counts.
    """
    torch.set_num_threads(threads)
    settings = recipe.network.model_copy(update={"pretrained": False})
    recipe = recipe.model_copy(update={"network": settings})
    frame = fit_frame(*PAGE, size or recipe.frame.final_size, recipe.frame.shape)
    batch = _draw_batch(frame.height, frame.width)
    before = _peak_bytes()
    module = DetectorModule(recipe, [], steps_per_epoch=1).train()
    step = prepare_step(module, batch)
    step()
    memory = _peak_bytes() - before if before else None
    seconds = best_time(step, rounds) / 1000.0
    network = module.network
    weights = sum(value.nbytes for value in network.state_dict().values())
    copies = ADAM_STATES + bool(recipe.training.ema_decay)
    return Cost(
        frame=(frame.width, frame.height),
        classifier=count_classifier(settings.encoder),
        encoder=_count(network.encoder),
        decoder=_count(network.decoder),
        head=_count(network.head),
        operations=_count_operations(network, batch["image"]),
        seconds=seconds,
        memory=memory,
        weights=weights,
        checkpoint=weights + copies * 4 * _count(network),
    )


def tabulate_costs(costs: dict[str, Cost]) -> str:
    """A Markdown table, a row an experiment; M and G are millions and 10^9."""
    header = (
        *("experiment", "frame", "encoder M", "decoder M", "head M", "all M", "classifier M"),
        *("forward GFLOP", "step s", "relative", "memory GiB", "weights MB", "checkpoint MB"),
    )
    baseline = costs.get(BASELINE)
    rows = [
        (
            name,
            f"{cost.frame[0]}x{cost.frame[1]}",
            *(f"{count / 1e6:.2f}" for count in (cost.encoder, cost.decoder, cost.head)),
            f"{(cost.encoder + cost.decoder + cost.head) / 1e6:.2f}",
            f"{cost.classifier / 1e6:.2f}",
            f"{cost.operations / 1e9:.0f}",
            f"{cost.seconds:.2f}",
            f"{cost.seconds / baseline.seconds:.2f}" if baseline else NOTHING,
            NOTHING if cost.memory is None else f"{cost.memory / 2**30:.2f}",
            f"{cost.weights / 1e6:.0f}",
            f"{cost.checkpoint / 1e6:.0f}",
        )
        for name, cost in costs.items()
    ]
    return format_table(header, rows)


def _draw_batch(height: int, width: int) -> dict[str, Any]:
    """One page of noise with targets; the work does not depend on what is drawn."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand((1, 1, height, width), generator=generator)
    everywhere = torch.ones_like(drawn, dtype=torch.uint8)
    return {
        "page": ["drawn"],
        "image": (drawn * 255).to(torch.uint8).expand(1, 3, height, width).contiguous(),
        "shrink_map": (drawn > 0.9).to(torch.uint8),
        "shrink_mask": everywhere,
        "threshold_map": 0.3 + 0.4 * drawn,
        "threshold_mask": everywhere,
    }


def _peak_bytes() -> int:
    """The most memory that this process has held; 0 where the system does not tell."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def count_classifier(encoder: str) -> int:
    """Parameters of the whole ImageNet classifier that an encoder is part of."""
    with torch.device("meta"):  # shapes without memory
        return _count(timm.create_model(encoder))


def _count_operations(network: nn.Module, images: torch.Tensor) -> float:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(images)
    return float(counter.get_total_flops())


def _measure_apart(recipe: Recipe, size: int | None, rounds: int, threads: int) -> Cost:
    """Measure in a fresh process, whose memory nothing else has raised."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure_cost, recipe, size, rounds, threads).result()


def _what_counts(recipe: Recipe) -> tuple[Any, ...]:
    """All that a cost depends on: experiments that share it are measured once."""
    frame, training = recipe.frame, recipe.training
    work = (frame.final_size, frame.shape, training.optimizer, training.channels_last)
    return (recipe.network, *work, bool(training.ema_decay))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiment_costs",
        description="Parameters, time and memory of a training step of every experiment, on one "
        "page and all cores. Takes some minutes.",
    )
    parser.add_argument(
        "experiments", nargs="*", metavar="EXPERIMENT", help="only these (default: all of them)"
    )
    parser.add_argument("--env", default="base", help="environment (default: %(default)s)")
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="longest side of the page, for a quick look (default: each experiment's final one)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="timed steps, the best counts (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count() or 1,
        help="of PyTorch (default: the cores of this machine, %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each network once and print the table."""
    options = _parse(arguments)
    experiments = read_experiments(options.env)
    if unknown := [name for name in options.experiments if name not in experiments.variants]:
        known = ", ".join(sorted(experiments.variants))
        sys.exit(f"unknown experiment {unknown[0]!r}; known are {known}")
    costs: dict[str, Cost] = {}
    measured: dict[tuple[Any, ...], Cost] = {}
    for name in options.experiments or experiments.variants:
        recipe = experiments.named(name)
        key = _what_counts(recipe)
        if key not in measured:
            print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201
            measured[key] = _measure_apart(recipe, options.size, options.rounds, options.threads)
        costs[name] = measured[key]
    print(f"{options.threads} threads, batches of one page\n")  # noqa: T201
    print(tabulate_costs(costs))  # noqa: T201


if __name__ == "__main__":
    main()
