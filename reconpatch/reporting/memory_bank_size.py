"""What a memory bank takes (Appendix C.3)."""


def memory_bank_bytes(patches: int, coreset_share: float, dimension: int) -> float:
    """Eq. S1: ``4 N_images H W (coreset share) dim(f)`` bytes.

    Args:
        patches: the training patches, ``N_images H W``.
        coreset_share: the share of them that is kept.
        dimension: of a patch's features.
    """
    return 4 * patches * coreset_share * dimension
