"""What a page noted becomes one turn, or none."""

from bench.turns import Turn, turn_of


def notes(*pairs):
    return [{"at": at, "what": what} for at, what in pairs]


def test_a_turn_is_taken_apart_and_its_parts_add_up():
    messages = notes((1500, "thinking"), (1520, "caller"), (1640, "audio.begin"), (1641, "audio"))
    turn = turn_of(1000, messages, [1700])
    assert turn == Turn(whole_ms=700, turn_end_ms=500, words_ms=20, answer_ms=121, audible_ms=59)


def test_an_answer_that_began_before_the_caller_had_finished_is_no_turn():
    assert turn_of(1000, notes((900, "thinking"), (950, "audio")), [980, 1400]) is None


def test_a_turn_without_an_answer_is_no_turn():
    assert turn_of(1000, notes((1500, "thinking")), []) is None


def test_sound_that_came_before_its_audio_belongs_to_something_else():
    assert turn_of(1000, notes((1500, "thinking"), (1900, "audio")), [1600]) is None


def test_words_that_are_shown_after_the_answer_began_held_nothing_up():
    turn = turn_of(1000, notes((1500, "thinking"), (1600, "audio"), (1800, "caller")), [1650])
    assert turn == Turn(whole_ms=650, turn_end_ms=500, words_ms=0, answer_ms=100, audible_ms=50)
