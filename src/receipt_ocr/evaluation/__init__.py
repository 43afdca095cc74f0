"""Polygons -> score: CLEval, the detection metric of the contest."""
