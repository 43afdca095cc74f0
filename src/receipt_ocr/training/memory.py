"""The largest memory that a training has taken."""

import sys

import torch

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None  # type: ignore[assignment]


def measure_peak_mib(device: torch.device) -> float | None:
    """Read the peak so far in MiB: tensors on the GPU where one is used, else this process.

    The processes that draw samples are not in it; it is None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB here
