"""What the caller heard, told from what was sent and what the browser reports."""

from voice.audio import bytes_of
from voice.sessions.playback import Heard, Playback

SECOND = bytes_of(1000)


def playing_two_seconds() -> Playback:
    playback = Playback()
    playback.sent("item_1", 2 * SECOND, now=0.0)
    return playback


def test_nothing_plays_before_anything_was_sent():
    assert Playback().playing(now=0.0) is None


def test_an_item_plays_until_the_browser_has_rendered_all_of_it():
    playback = playing_two_seconds()
    playback.reported("item_1", 1999, 2 * SECOND, now=2.0)
    assert playback.playing(now=2.0) == "item_1"
    playback.reported("item_1", 2000, 2 * SECOND, now=2.1)
    assert playback.playing(now=2.1) is None


def test_a_browser_that_never_reports_does_not_play_for_ever():
    assert playing_two_seconds().playing(now=6.0) is None


def test_an_interruption_stops_the_item_that_plays():
    assert playing_two_seconds().interrupt(now=0.5) == "item_1"


def test_there_is_nothing_to_interrupt_when_nothing_plays():
    assert Playback().interrupt(now=0.5) is None


def test_an_interrupted_item_is_remembered_so_that_late_audio_of_it_is_dropped():
    playback = playing_two_seconds()
    playback.interrupt(now=0.5)
    assert playback.is_interrupted("item_1")


def test_the_report_after_an_interruption_says_what_was_heard():
    playback = playing_two_seconds()
    playback.interrupt(now=0.5)
    assert playback.reported("item_1", 480, 2 * SECOND, now=0.6) == Heard("item_1", 480, 2000)


def test_an_interruption_is_answered_once():
    playback = playing_two_seconds()
    playback.interrupt(now=0.5)
    playback.reported("item_1", 480, 2 * SECOND, now=0.6)
    assert playback.reported("item_1", 480, 2 * SECOND, now=0.7) is None


def test_a_browser_that_does_not_answer_an_interruption_is_taken_at_its_last_report():
    playback = playing_two_seconds()
    playback.reported("item_1", 300, 2 * SECOND, now=0.4)
    playback.interrupt(now=0.5)
    assert playback.overdue(now=0.9) is None
    assert playback.overdue(now=1.1) == Heard("item_1", 300, 2000)


def test_nobody_can_have_heard_more_than_was_sent():
    playback = playing_two_seconds()
    playback.interrupt(now=0.5)
    assert playback.reported("item_1", 10**9, 10**12, now=0.6) == Heard("item_1", 2000, 2000)


def test_a_report_about_an_unknown_item_means_nothing():
    assert Playback().reported("item_9", 100, 100, now=0.1) is None


def test_a_browser_that_receives_everything_is_never_too_slow():
    playback = playing_two_seconds()
    playback.reported("item_1", 100, 2 * SECOND, now=0.1)
    assert not playback.is_too_slow(now=60.0)


def test_a_browser_that_has_received_nothing_for_long_is_too_slow():
    playback = playing_two_seconds()
    assert not playback.is_too_slow(now=14.0)
    assert playback.is_too_slow(now=16.0)


def test_a_browser_too_many_bytes_behind_is_too_slow():
    playback = Playback()
    playback.sent("item_1", 4_000_001, now=0.0)
    assert playback.is_too_slow(now=0.1)


def test_time_behind_counts_from_the_first_byte_not_received():
    playback = playing_two_seconds()
    playback.reported("item_1", 2000, 2 * SECOND, now=2.0)
    playback.sent("item_2", SECOND, now=60.0)
    assert not playback.is_too_slow(now=61.0)


def test_a_browser_that_is_away_is_not_too_slow_however_long():
    assert not playing_two_seconds().is_too_slow(now=29.0, is_away=True)


def test_a_browser_that_is_away_is_given_no_more_than_one_that_is_there():
    playback = Playback()
    playback.sent("item_1", 4_000_001, now=0.0)
    assert playback.is_too_slow(now=0.1, is_away=True)


def test_the_time_away_does_not_count_as_time_behind():
    playback = playing_two_seconds()
    playback.came_back(now=20.0, away_s=19.0)
    assert not playback.is_too_slow(now=34.0)
    assert playback.is_too_slow(now=36.0)


def test_what_was_missed_is_playing_once_the_browser_is_back():
    playback = playing_two_seconds()
    assert playback.playing(now=20.0) is None
    playback.came_back(now=20.0, away_s=19.0)
    assert playback.interrupt(now=20.5) == "item_1"
