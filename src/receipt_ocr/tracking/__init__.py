"""What MLflow and the project's own records say about runs: layout, tags, figures, sources."""
