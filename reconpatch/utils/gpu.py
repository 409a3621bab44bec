"""Whether this machine has a GPU, without waiting for torch."""

from pathlib import Path


def has_gpu() -> bool:
    """Return whether NVIDIA's driver is loaded here."""
    return Path("/dev/nvidiactl").exists()
