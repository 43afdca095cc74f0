"""Receipts that the project draws for its demo and tests: nothing -> raw files."""
