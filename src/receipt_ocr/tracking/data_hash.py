"""A short hash of a table's content, so that runs say which data they saw."""

import hashlib

import numpy as np
import pandas as pd


def hash_table(table: pd.DataFrame) -> str:
    """Hash plain columns, and columns of number lists such as polygons, to twelve hex digits."""
    digest = hashlib.sha256()
    for name, column in table.items():
        digest.update(f"\n{name}\n".encode())
        values = column.to_numpy()
        if len(values) and isinstance(values[0], np.ndarray | list | tuple):
            digest.update(np.array([len(value) for value in values], dtype="<i8").tobytes())
            digest.update(np.concatenate(values).astype("<f8").tobytes())
        else:
            hashed = pd.util.hash_pandas_object(column, index=False)
            digest.update(hashed.to_numpy().astype("<u8").tobytes())
    return digest.hexdigest()[:12]
