"""Polygons: primitives, batches of them, and the compiled loops behind both."""
