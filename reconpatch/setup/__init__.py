"""What a suite needs besides code: fetched, packed for elsewhere, or reported as missing."""
