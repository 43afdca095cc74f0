"""Kedro datasets: how tables, maps and checkpoints are stored."""
