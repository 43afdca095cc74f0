"""From a raw file to a training sample."""
