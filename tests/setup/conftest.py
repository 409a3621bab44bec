from tests.fetching.conftest import mirror

__all__ = ["mirror"]
