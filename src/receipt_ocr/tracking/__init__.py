"""MLflow and provenance: layout of runs, their tags and figures, the run behind each entry."""
