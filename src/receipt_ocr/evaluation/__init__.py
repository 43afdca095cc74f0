"""From polygons to a verdict."""
