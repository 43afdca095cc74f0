"""Epochs as names of files and as lines of a log."""

from receipt_ocr.training.checkpoints import name_checkpoint
from receipt_ocr.training.progress import describe_epoch


def test_an_epoch_names_its_file_and_describes_itself() -> None:
    row = {"epoch": 7.0, "size": 960.0, "loss": 1.23456, "precision": 0.9, "recall": 0.8}
    row |= {"hmean": 0.84705882, "seconds": 61.4}
    assert name_checkpoint(row) == "epoch=07-hmean=0.8471.ckpt"
    assert describe_epoch(row, epochs=20) == (
        "Epoch 7/19: size 960, loss 1.2346, precision 0.9000, recall 0.8000, H-mean 0.8471, 61 s, "
        "at most 12 min to go"
    )
    # The last epoch of a training without validation.
    last = {"epoch": 19.0, "size": 960.0, "loss": 1.0, "seconds": 7000.0}
    assert name_checkpoint(last) == "epoch=19.ckpt"
    assert describe_epoch(last, epochs=20) == "Epoch 19/19: size 960, loss 1.0000, 1 h 57 min"
