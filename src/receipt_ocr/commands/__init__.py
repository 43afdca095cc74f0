"""The commands that this project adds to ``kedro``, one file each."""
