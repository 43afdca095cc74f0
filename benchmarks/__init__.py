"""Plain reference implementations and synthetic dense pages that the package is timed against."""
