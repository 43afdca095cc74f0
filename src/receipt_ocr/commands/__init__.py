"""What the command line `kedro` learns from this project."""
