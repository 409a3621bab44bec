"""The size of a memory bank (Appendix C.3)."""


def memory_bank_bytes(vectors: int, dimension: int) -> int:
    """Eq. S1: ``4 N_images H W (coreset share) dim(f)`` bytes.

    Args:
        vectors: the bank's vectors, ``N_images H W (coreset share)`` rounded down.
        dimension: the dimension of a vector.

    Example:
        >>> memory_bank_bytes(1638, 512)
        3354624
    """
    return 4 * vectors * dimension
