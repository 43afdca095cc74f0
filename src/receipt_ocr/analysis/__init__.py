"""Page scores -> statements: intervals, comparisons, kinds of errors, learning, recommendation."""
