"""The widest floating-point numbers that a device has."""

import torch


def widest(device: torch.device) -> torch.dtype:
    """Return double precision, and single on Apple's GPUs, which have no other."""
    return torch.float32 if device.type == "mps" else torch.float64
