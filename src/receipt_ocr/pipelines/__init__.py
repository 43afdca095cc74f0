"""The stages: thin nodes, and wiring that reads like a table."""
