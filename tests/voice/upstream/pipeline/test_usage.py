from hypothesis import given, settings
from hypothesis import strategies as st

from voice.upstream.pipeline.usage import Piece, text_tokens_of, usage_of

pieces = st.lists(st.builds(Piece, st.sampled_from("abcdef"), st.integers(0, 50), st.integers(0, 50)), max_size=8)


def test_a_text_token_is_four_bytes_and_a_started_one_counts():
    assert [text_tokens_of(text) for text in ("", "a", "four", "fours", "नमस्ते")] == [0, 1, 1, 2, 5]


def test_what_stands_unchanged_at_the_front_counts_as_cached():
    read = [Piece("instructions", 10), Piece("item_1", 0, 20), Piece("item_2", 5, 40)]
    usage = usage_of(read, read[:2], output_text_tokens=3, output_audio_tokens=7)
    assert usage == {
        "total_tokens": 85,
        "input_tokens": 75,
        "output_tokens": 10,
        "input_token_details": {
            "text_tokens": 15,
            "audio_tokens": 60,
            "image_tokens": 0,
            "cached_tokens": 30,
            "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 20, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 3, "audio_tokens": 7},
    }


def test_nothing_behind_a_change_is_cached():
    before = [Piece("instructions", 10), Piece("item_1", 4), Piece("item_2", 6)]
    now = [Piece("instructions", 10), Piece("item_1", 2), Piece("item_2", 6)]
    details = usage_of(now, before, output_text_tokens=0, output_audio_tokens=0)["input_token_details"]
    assert details["cached_tokens"] == 10


@settings(deadline=None)
@given(pieces, pieces)
def test_never_more_is_cached_than_was_read_now_or_before(read, before):
    details = usage_of(read, before, output_text_tokens=0, output_audio_tokens=0)["input_token_details"]
    read_tokens, before_tokens = sum(p.tokens for p in read), sum(p.tokens for p in before)
    assert details["cached_tokens"] <= min(read_tokens, before_tokens)
    assert details["text_tokens"] + details["audio_tokens"] == read_tokens


@settings(deadline=None)
@given(pieces)
def test_reading_the_same_again_is_cached_whole(read):
    details = usage_of(read, read, output_text_tokens=0, output_audio_tokens=0)["input_token_details"]
    assert details["cached_tokens"] == sum(piece.tokens for piece in read)
