"""The model of a growing call, against sums made by hand and against a table of measured-like runs."""

import pytest

from voice.catalogue.rate_card import Kind
from voice.pricing.conversation import instructions_tokens, reads_of, spoken_answer, turn_of, turns_of, typed_answer
from voice.pricing.parameters import History, Question

TWELVE_SECONDS = Question(turns_per_minute=5)


def reads(window_tokens=32_000, turn_tokens=208, **fields):
    return list(reads_of(Question(**fields), turn_tokens, window_tokens))


def test_a_turn_of_twelve_seconds_is_six_heard_and_six_spoken():
    turn = turn_of(TWELVE_SECONDS)
    assert (turn.heard, turn.spoken, turn.heard_ms) == (60, 120, 6000)
    assert (turn.words_heard, turn.words_spoken) == (20, 20)
    assert turn.voice_tokens == 60 + 120 + 20 + 8


def test_an_assistant_that_only_listens_says_nothing():
    turn = turn_of(Question(agent_talk_percent=0))
    assert (turn.spoken, turn.words_spoken, turn.heard) == (0, 0, 120)


def test_every_answer_reads_one_turn_more():
    assert [read.kept for read in reads(minutes_per_call=1)] == [0, 1, 2, 3, 4]


def test_the_first_answer_finds_nothing_in_the_cache():
    first, second, *_ = reads(cached_percent=90)
    assert (first.cached_percent, second.cached_percent) == (0, 90)


def test_a_full_recent_history_is_cut_to_four_fifths_and_read_anew():
    kept = reads(minutes_per_call=10, history=History.RECENT)
    cut = next(index for index, read in enumerate(kept) if index and read.kept <= kept[index - 1].kept)
    assert kept[cut].kept == 3_200 // 208
    assert kept[cut].cached_percent == 0 and kept[cut + 1].cached_percent == 80


def test_a_conversation_never_outgrows_the_models_window():
    question = Question(minutes_per_call=60)
    turn = turn_of(question)
    for read in reads_of(question, turn.voice_tokens, 8_000):
        assert instructions_tokens(question) + (read.kept + 1) * turn.voice_tokens <= 8_000


def test_a_window_smaller_than_one_turn_keeps_nothing():
    assert {read.kept for read in reads(window_tokens=100)} == {0}


def test_a_spoken_answer_reads_both_speeches_and_the_assistants_words():
    read = reads(cached_percent=50)[10]
    used = spoken_answer(Question(cached_percent=50), turn_of(TWELVE_SECONDS), read)
    assert used[Kind.AUDIO_IN] + used[Kind.AUDIO_CACHED_IN] == 10 * (60 + 120) + 60
    assert used[Kind.TEXT_IN] + used[Kind.TEXT_CACHED_IN] == 600 + 10 * 28
    assert used[Kind.AUDIO_CACHED_IN] == 900
    assert (used[Kind.AUDIO_OUT], used[Kind.TEXT_OUT]) == (120, 20)


def test_a_typed_answer_has_no_audio():
    used = typed_answer(TWELVE_SECONDS, turn_of(TWELVE_SECONDS), reads()[3])
    assert not any("audio" in kind for kind in used)
    assert used[Kind.TEXT_IN] + used[Kind.TEXT_CACHED_IN] == 600 + 3 * 48 + 20


@pytest.mark.parametrize(("minutes", "turns", "answers"), [(1, 1, 1), (5, 5, 25), (60, 15, 900)])
def test_there_are_as_many_answers_as_turns(minutes, turns, answers):
    question = Question(minutes_per_call=minutes, turns_per_minute=turns)
    assert turns_of(question) == len(list(reads_of(question, 208, 32_000))) == answers
