"""What is wrong with data, targets or network before time is spent on training."""
