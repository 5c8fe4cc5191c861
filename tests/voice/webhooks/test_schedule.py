"""Retries last a little more than a day, and do what the receiver asks."""

from datetime import UTC, datetime, timedelta

import pytest

from voice.webhooks import schedule

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_pauses_add_up_to_more_than_a_day():
    assert timedelta(days=1) < timedelta(seconds=sum(schedule.PAUSES_S)) < schedule.LONGEST_ROUND


def test_pauses_grow():
    assert list(schedule.PAUSES_S) == sorted(schedule.PAUSES_S)


def test_each_pause_is_at_least_the_planned_one_and_little_more():
    for attempts, planned_s in enumerate(schedule.PAUSES_S, 1):
        pauses = [schedule.pause_after(attempts) for _ in range(50)]
        assert min(pauses) >= planned_s and max(pauses) <= planned_s * 1.1 + 1


def test_after_the_last_attempt_there_is_no_pause():
    assert schedule.pause_after(len(schedule.PAUSES_S) + 1) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999999999999", 6 * 3600),
        ("Sun, 22 Nov 2026 12:05:00 GMT", 300),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2099 11:00:00 GMT", 6 * 3600),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("Sun, 99 Nov 2026 12:05:00 GMT", None),
    ],
)
def test_retry_after_is_read_and_bounded(text, seconds):
    assert schedule.retry_after_s({"retry-after": text}, NOW) == seconds


def test_without_the_header_there_is_nothing_to_read():
    assert schedule.retry_after_s({}, NOW) is None


@pytest.mark.parametrize(
    ("days", "failures", "is_given_up"), [(3, 20, True), (2.9, 200, False), (30, 19, False), (0, 1, False)]
)
def test_an_endpoint_is_given_up_after_days_and_many_attempts(days, failures, is_given_up):
    assert schedule.is_given_up(NOW - timedelta(days=days), failures, NOW) is is_given_up


def test_a_server_that_is_away_is_asked_ever_less_often():
    assert [schedule.away_s(failures) for failures in (0, 1, 2, 5, 6, 1000)] == [60, 120, 240, 1920, 3600, 3600]
