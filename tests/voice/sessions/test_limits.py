"""How long a call may last and how long it may be silent."""

from voice.sessions.limits import Limits, Step


def limits(**changes) -> Limits:
    return Limits(**{"max_duration_s": 600, "silence_timeout_s": 20, "now": 0.0} | changes)


def test_nothing_is_due_while_people_talk():
    assert limits().due(100.0, is_busy=True) is None


def test_a_silent_caller_is_asked_whether_they_are_still_there():
    assert limits().due(20.0, is_busy=False) is Step.ASK_STILL_THERE


def test_a_caller_who_stays_silent_after_being_asked_has_gone():
    call = limits()
    call.due(20.0, is_busy=False)
    assert call.due(31.0, is_busy=False) is None
    assert call.due(32.0, is_busy=False) is Step.SILENCE


def test_asking_takes_time_that_is_not_counted_as_silence():
    call = limits()
    call.due(20.0, is_busy=False)
    call.due(25.0, is_busy=True)
    assert call.due(36.0, is_busy=False) is None


def test_a_caller_who_answers_is_asked_again_after_the_next_silence():
    call = limits()
    call.due(20.0, is_busy=False)
    call.caller_was_active(22.0)
    assert call.due(41.0, is_busy=False) is None
    assert call.due(42.0, is_busy=False) is Step.ASK_STILL_THERE


def test_the_last_minute_is_announced_once():
    call = limits()
    assert call.due(540.0, is_busy=True) is Step.LAST_MINUTE
    assert call.due(541.0, is_busy=True) is None


def test_a_short_call_has_no_last_minute():
    assert limits(max_duration_s=90).due(60.0, is_busy=True) is None


def test_a_call_ends_at_its_longest_duration_whoever_speaks():
    assert limits().due(600.0, is_busy=True) is Step.MAX_DURATION
