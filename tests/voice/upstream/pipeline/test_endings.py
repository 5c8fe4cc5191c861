import pytest

from voice.upstream.pipeline.endings import Ending, ending_of

# As the embedded model wrote down the recorded callers, from their first word to a pause they made.
UNFINISHED = [
    "My phone number is four, one five.",
    "My phone number is four one five, five five five,",
    "My phone number is 4155555.",
    "My phone number is 415555013.",
    "You can reach me at seven, zero, two.",
    "It's two one two.",
    "My last name is Newian,",
    "My last name is Newian, spelled,",
    "My last name is Newian, spelled N-G-U.",
    "My address is twelve thirty oak avenue,",
    "I live at forty-two.",
    "It's nine, Elm Court,",
    "My address is twelve thirty oak avenue.",
    "The house is at seven hundred fifteen West Lincoln Road.",
    "Tomorrow, a quarter passed four,",
    "I was like an appointment for Friday at nine a.",
    "My email is john dot Smith,",
    "My email is john dot smith at example.",
    "Eight of spades,",
    "Actually,",
    "Hi, my name is.",
    "Do you have anything around?",
    "I need, um",
]
FINISHED = [
    "Yes, please.",
    "No, thank you.",
    "Yeah, that's correct.",
    "No, that's not right.",
    "Sure, that works for me.",
    "Tomorrow, a quarter passed for, please.",
    "That's everything, thank you good-bye.",
    "Sorry, could you repeat that?",
    "Can I come in on March fifteenth?",
    "How much does it cost?",
]
NOT_TOLD = [
    "",
    "?",
    "Yeah.",
    "Sure.",
    "Yes, it is.",
    "Hi, my name is Sarah Johnson.",
    "My phone number is 415-555-0134.",
    "It's down this road.",
    "The house is at 715 West Lincoln Road, apartment three B..",
    "I was like an appointment for Friday at nine a.m.",
    "My email is John Dot Smith at example Dot Com.",
    "Write to john@example.com",
]


@pytest.mark.parametrize("words", UNFINISHED)
def test_a_pause_in_the_middle_of_something_is_no_end(words):
    assert ending_of(words) is Ending.OPEN


@pytest.mark.parametrize("words", FINISHED)
def test_some_words_say_that_nothing_follows(words):
    assert ending_of(words) is Ending.DONE


@pytest.mark.parametrize("words", NOT_TOLD)
def test_most_words_do_not_tell(words):
    assert ending_of(words) is Ending.UNSURE


def test_the_end_of_a_very_long_transcript_is_judged_at_once():
    assert ending_of("at " * 400_000) is Ending.OPEN
    assert ending_of("-" * 400_000 + "9 please.") is Ending.DONE
