"""What a suite needs besides code: fetched, packed for another machine, or checked."""
