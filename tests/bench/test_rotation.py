"""Contenders take turns, and one that fails leaves the others' figures alone."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bench.contenders import Contender, Running
from bench.processes import NotStarted
from bench.rotation import Outcome, Rotation, in_turn
from bench.sessions import Schedule

SCHEDULE = Schedule(sessions=2, rounds=2, settle_s=0.0, window_s=0.0, frame_sizes_ms=(20, 40), growth=None)


class Calls:
    """What the rotation asks of live sessions; those of a contender at "refusing" do not begin."""

    def __init__(self, running, frame_ms):
        self.running, self.frame_ms, self.has_ended = running, frame_ms, False

    async def grow_to(self, sessions):
        if self.running.url == "refusing":
            raise ConnectionError("refused")

    async def end(self):
        self.has_ended = True


class Gauge:
    """Notes whose calls are measured, and when."""

    mock = None

    def __init__(self):
        self.made, self.measured = [], []

    def calls(self, running, frame_ms):
        assert all(calls.has_ended for calls in self.made)
        self.made.append(Calls(running, frame_ms))
        return self.made[-1]

    async def measure(self, calls, window_s, standing_by):
        await asyncio.sleep(0)
        self.measured.append((calls.frame_ms, calls.running.url))
        return Shown(calls.frame_ms)


class Shown:
    cpu_ms_per_session_s = round_trip_p50_ms = round_trip_p99_ms = 1.0

    def __init__(self, frame_ms):
        self.frame_ms = frame_ms


def contender(name):
    @asynccontextmanager
    async def opened(mock, folder):
        if name == "absent":
            raise NotStarted("it is not installed")
        yield Running(None, None, name, {})

    return Contender(name, name, opened)


async def outcomes_of(gauge, folder, *names):
    rotation = Rotation(gauge, SCHEDULE, lambda text: None)
    return await rotation.run([contender(name) for name in names], folder)


def test_rounds_go_there_and_back():
    assert [in_turn("abc", number) for number in range(3)] == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


async def test_everyone_is_measured_in_every_round_of_every_frame_size(tmp_path):
    gauge = Gauge()
    outcomes = await outcomes_of(gauge, tmp_path, "a", "b")
    assert gauge.measured == [(size, name) for size in (20, 40) for name in "abba"]
    assert [set(outcome.figures) for outcome in outcomes] == [{0, 1, 2, 3}] * 2


@pytest.mark.parametrize(("name", "why"), [("refusing", "stopped: ConnectionError refused"), ("absent", "not inst")])
async def test_a_contender_that_fails_is_passed_over_and_says_why(tmp_path, name, why):
    gauge = Gauge()
    failed, other = await outcomes_of(gauge, tmp_path, name, "b")
    assert why in failed.remark and not failed.figures
    assert len(other.figures) == 4 and not other.remark


def test_values_are_those_of_one_frame_size():
    outcome = Outcome(contender("a"), {0: Shown(20), 1: Shown(20), 2: Shown(40)})
    assert outcome.values(40, lambda figures: figures.round_trip_p50_ms) == {2: 1.0}


def test_remarks_stand_beside_each_other():
    outcome = Outcome(contender("a"))
    outcome.note("one")
    outcome.note("two")
    assert outcome.remark == "one; two"
