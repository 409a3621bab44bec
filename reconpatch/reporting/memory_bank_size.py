"""What a memory bank takes (Appendix C.3)."""


def memory_bank_bytes(vectors: int, dimension: int) -> int:
    """Eq. S1: ``4 N_images H W (coreset share) dim(f)`` bytes.

    Args:
        vectors: of the bank, ``N_images H W (coreset share)`` of them, rounded down.
        dimension: of a vector.
    """
    return 4 * vectors * dimension
