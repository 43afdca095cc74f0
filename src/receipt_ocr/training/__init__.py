"""Samples -> a checkpoint: loop, loss, schedule, resume, several processes."""
