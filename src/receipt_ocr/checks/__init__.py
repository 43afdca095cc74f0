"""Checks of data, targets and network before time is spent on training."""
