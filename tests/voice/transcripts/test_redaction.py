import pytest

from voice.transcripts.redaction import is_card_number, redacted


@pytest.mark.parametrize(
    "said",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111, 1111, 1111, 1111",
        "378282246310005",
        "four one one one, one one one one, one one one one, one one one one",
        "four triple one, double one double one, 1111 one one one one",
        "४१११ ११११ ११११ ११११",
    ],
)
def test_a_card_number_is_blotted_out_however_it_is_said(said):
    assert redacted(f"It is {said}.") == "It is [card number]."


def test_the_check_digit_tells_a_card_from_an_order():
    assert is_card_number("4111111111111111") and not is_card_number("4111111111111112")
    assert redacted("Order 4111111111111112") == "Order 4111111111111112"


@pytest.mark.parametrize(
    "said",
    [
        "555 0142 88",
        "+49 30 901820",
        "(020) 7946 0958",
        "five five five oh one four two",
        "0171-555-0199",
        "+919876543210",
    ],
)
def test_a_phone_number_is_blotted_out_however_it_is_said(said):
    assert redacted(f"Ring {said} please") == "Ring [phone number] please"


@pytest.mark.parametrize(
    "said",
    [
        "ada@example.com",
        "Ada.Lovelace+x@mail.example.co.uk",
        "ada at example dot com",
        "ada.l at mail dot example dot org",
    ],
)
def test_a_mail_address_is_blotted_out_written_or_spelt(said):
    assert redacted(f"Write to {said}") == "Write to [mail address]"


@pytest.mark.parametrize(
    "said",
    [
        "Friday at nine", "17 Brambleberry Lane", "2026-11-22", "22.11.2026", "It costs 1,000,000 rupees",
        "at 4:15 p.m.", "one of the two", "I am at home", "meet me at the dot", "",
    ],
)  # fmt: skip
def test_what_is_none_of_them_stays(said):
    assert redacted(said) == said


def test_the_words_around_stay_as_they_were():
    assert redacted("Card 4111 1111 1111 1111, mail ada@example.com, tel 555 0142 88!") == (
        "Card [card number], mail [mail address], tel [phone number]!"
    )


@pytest.mark.parametrize(
    "nasty", ["1 " * 20_000, "a@" * 20_000, "a." * 20_000 + "@", "one " * 20_000, "double " * 20_000]
)
def test_what_only_begins_like_a_number_or_an_address_is_read_once_and_stays(nasty):
    """Patterns that go back and forth over such a text would not come back at all."""
    assert redacted(nasty) == nasty


def test_a_long_text_is_redacted_to_its_end():
    assert redacted("ada at example dot com, " * 5_000) == "[mail address], " * 5_000
