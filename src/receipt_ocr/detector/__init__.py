"""A trained detector: from an image to a probability map and polygons."""
