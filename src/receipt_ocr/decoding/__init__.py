"""From a probability map to polygons."""
