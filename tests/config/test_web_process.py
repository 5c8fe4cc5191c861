"""What the process that serves calls sets for itself."""

import gc
import sys

import pytest

from config import web_process


@pytest.fixture
def as_before():
    interval_s = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval_s)
    gc.unfreeze()


def test_a_thread_lets_a_frame_pass_within_half_a_millisecond(as_before):
    web_process.prepare()
    assert sys.getswitchinterval() == pytest.approx(0.0005)


def test_what_is_loaded_is_not_looked_through_for_garbage_again(as_before):
    web_process.prepare()
    assert gc.get_freeze_count() > 0


def test_without_glibc_there_is_nothing_to_set(as_before, monkeypatch):
    monkeypatch.setattr(web_process.ctypes, "CDLL", lambda _: object())
    web_process.prepare()
