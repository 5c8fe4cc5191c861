"""How much one browser may send."""

from voice.gateway.inbound_limits import InboundLimits, Window


def test_a_microphone_in_real_time_is_within_the_limits():
    limits = InboundLimits()
    assert all(limits.excess(audio_bytes=1920, now=n * 0.04) is None for n in range(1000))


def test_audio_at_three_times_real_time_is_too_much():
    limits = InboundLimits()
    assert any(limits.excess(audio_bytes=1920, now=n * 0.04 / 3) == "too_much_audio" for n in range(1000))


def test_a_burst_after_a_pause_of_the_network_is_forgiven():
    limits = InboundLimits()
    assert all(limits.excess(audio_bytes=1920, now=5.0) is None for _ in range(50))


def test_a_flood_of_messages_is_refused():
    limits = InboundLimits()
    answers = [limits.excess(messages=1, now=1.0) for _ in range(501)]
    assert answers[:500] == [None] * 500
    assert answers[500] == "too_many_messages"


def test_the_reports_that_a_stalled_network_kept_back_may_come_in_one_go():
    """A page that plays reports ten times a second, and is given up for good after half a minute."""
    limits = InboundLimits()
    assert {limits.excess(messages=1, now=30.0) for _ in range(30 * 10)} == {None}


def test_what_is_taken_back_does_not_count():
    window = Window(10, window_s=1.0)
    assert window.add(4, now=1.0) and window.add(6, now=1.0)
    window.take_back(6)
    assert (window.add(6, now=1.9), window.add(1, now=1.9)) == (True, False)
