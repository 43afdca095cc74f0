"""Probability map -> polygons: soft voting of members, then post-processing."""
