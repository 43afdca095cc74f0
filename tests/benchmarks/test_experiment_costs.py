"""The table of the experiments' costs counts what it says, on a tiny network."""

import pytest

from benchmarks.experiment_costs import count_classifier, main, measure_cost, tabulate_costs
from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import NetworkSettings, Recipe, TrainingSettings

TINY = NetworkSettings(encoder="test_resnet", inner_channels=8, output_channels=4)


def test_a_cost_counts_parts_operations_and_bytes() -> None:
    cost = measure_cost(Recipe(network=TINY), size=64, rounds=1)
    network = build_network(TINY, load_weights=False)
    parameters = sum(weight.numel() for weight in network.parameters())
    assert cost.encoder + cost.decoder + cost.head == parameters
    assert cost.decoder == sum(weight.numel() for weight in network.decoder.parameters())
    assert cost.classifier > cost.encoder  # it has a last layer more
    assert cost.frame == (64, 64)
    assert cost.operations > 2 * parameters
    assert cost.weights >= 4 * parameters
    assert cost.checkpoint == cost.weights + 8 * parameters
    assert cost.seconds > 0
    averaged = Recipe(network=TINY, training=TrainingSettings(ema_decay=0.9))
    assert measure_cost(averaged, 64, 1).checkpoint == cost.weights + 12 * parameters


def test_costs_are_told_against_the_default_experiment() -> None:
    cost = measure_cost(Recipe(network=TINY), size=64, rounds=1)
    lines = tabulate_costs({"convnext_tiny": cost, "other": cost}).splitlines()
    assert len(lines) == 4
    assert all("| 64x64 |" in line and "| 1.00 |" in line for line in lines[2:])
    assert "| 1.00 |" not in tabulate_costs({"other": cost})


def test_the_report_s_parameters_are_those_of_the_whole_classifier() -> None:
    assert count_classifier("convnext_tiny") == 28_589_128


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(SystemExit, match=r"unknown experiment 'nope'; known are .*convnext_tiny"):
        main(["nope"])
