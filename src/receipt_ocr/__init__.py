"""From raw receipt photos to a contest submission and an honest experiment report."""

__version__ = "0.1.0"
