import numpy as np
import pytest

from benchmarks import measure
from benchmarks.measure import PROCESS, PeakMemory, in_turns

MEMORY = pytest.mark.skipif(not PROCESS.exists(), reason="only Linux tells a process's peak")


@MEMORY
def test_the_meter_sees_memory_that_is_gone_again() -> None:
    with PeakMemory() as memory:
        np.ones(64 << 20, dtype=np.uint8)
    assert memory.growth is not None
    assert 63 <= memory.growth <= 72
    assert memory.resident is not None
    assert memory.resident > memory.growth


@MEMORY
def test_the_meter_forgets_what_was_there_before() -> None:
    kept = np.ones(64 << 20, dtype=np.uint8)
    with PeakMemory() as memory:
        kept += 1
    assert memory.growth is not None
    assert memory.growth <= 8


def test_short_work_is_repeated_in_turns_after_a_first_call_and_long_work_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    calls = []

    def work(name: str, seconds: float):  # type: ignore[no-untyped-def]
        def run() -> str:
            nonlocal now
            now += seconds
            calls.append(name)
            return name

        return run

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now)
    works = {"a": work("a", 1.0), "long": work("long", 100.0), "b": work("b", 2.0)}
    found = in_turns(works, repeats=2)
    assert calls == ["a", "long", "b", "a", "b", "a", "b"]
    assert found["a"].seconds == (1.0, 1.0)
    assert found["long"].seconds == (100.0,)
    assert [one.result for one in found.values()] == ["a", "long", "b"]
