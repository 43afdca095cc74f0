"""Many folds with one command: one after another, on several devices, or on Ray."""
