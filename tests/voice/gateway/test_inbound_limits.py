"""How much one browser may send."""

from voice.gateway.inbound_limits import InboundLimits, TokenBucket


def test_a_microphone_in_real_time_is_within_the_limits():
    limits = InboundLimits()
    assert all(limits.excess(audio_bytes=1920, now=n * 0.04) is None for n in range(1000))


def test_audio_at_three_times_real_time_is_too_much():
    limits = InboundLimits()
    assert any(limits.excess(audio_bytes=1920, now=n * 0.04 / 3) == "too_much_audio" for n in range(2000))


def test_what_was_said_while_models_were_dialled_may_come_in_one_go_and_more_in_its_time():
    """A call that begins dials one model for five seconds and four for three, and nobody reads what its caller says."""
    limits = InboundLimits()
    assert all(limits.excess(audio_bytes=1920, now=17.0) is None for _ in range(17 * 25))
    assert all(limits.excess(audio_bytes=1920, now=17.0 + n * 0.04) is None for n in range(1000))


def test_audio_that_was_recorded_before_is_too_much():
    limits = InboundLimits()
    assert any(limits.excess(audio_bytes=1920, now=1.0) == "too_much_audio" for _ in range(21 * 25))


def test_a_flood_of_messages_is_refused():
    limits = InboundLimits()
    answers = [limits.excess(messages=1, now=1.0) for _ in range(501)]
    assert answers[:500] == [None] * 500
    assert answers[500] == "too_many_messages"


def test_the_reports_that_a_stalled_network_kept_back_may_come_in_one_go():
    """A page that plays reports ten times a second, and is given up for good after half a minute."""
    limits = InboundLimits()
    assert {limits.excess(messages=1, now=30.0) for _ in range(30 * 10)} == {None}


def test_a_bucket_fills_again_in_its_time_and_never_higher():
    bucket = TokenBucket(per_s=10, burst=5)
    assert [bucket.take(5, now=100.0), bucket.take(2, now=100.2), bucket.take(1, now=100.2)] == [True, True, False]
    assert [bucket.take(5, now=200.0), bucket.take(1, now=200.0)] == [True, False]


def test_what_is_put_back_does_not_count():
    bucket = TokenBucket(per_s=10, burst=10)
    assert bucket.take(4, now=1.0) and bucket.take(6, now=1.0)
    bucket.put_back(6)
    assert [bucket.take(6, now=1.0), bucket.take(1, now=1.0)] == [True, False]
