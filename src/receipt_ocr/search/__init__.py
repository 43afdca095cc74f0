"""Stored maps -> post-processing settings: grid, refinement, cross-fitted estimate, sensitivity."""
