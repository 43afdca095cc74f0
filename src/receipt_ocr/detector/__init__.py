"""From a training sample to a probability map."""
