"""Guided troubleshooting: whatever a caller says of a step, the guide goes on, ends well or ends with a call back."""

import pytest

from local_models.receptionist import reply
from local_models.receptionist.messages import Message
from tests.local_models.telephone import BOOK, BOOK_BRIEFLY, CALL_BACK, END_CALL, NOW, Telephone, almost_booked

BROADBAND = """\
You help customers of Harbour Broadband to get back online.

Business: Harbour Broadband
Opening hours: Monday to Saturday 8am-8pm, closed Sunday

If the internet does not work:
1. Look at the router. Is the light marked Internet green, red or off?
2. Unplug the router's power cable and leave it out for thirty seconds.
3. Plug it back in and wait two minutes, until the lights stop blinking.
4. Check that the grey cable between the router and the wall sits firmly at both ends.

If the Wi-Fi is slow:
1. Stand in the same room as the router and try once more.
2. Restart the router: power off, thirty seconds, power on.

Q: Is there an outage?
A: There is no outage that we know of right now.
"""
LIGHT = "Is the light marked Internet green, red or off?"
UNPLUG = "Unplug the router's power cable and leave it out for thirty seconds. Did that help?"
PLUG_IN = "Plug it back in and wait two minutes, until the lights stop blinking. Did that help?"
LAST = "Check that the grey cable"
OFFER = "Would you like a technician to call you back?"


def at_the_light(*tools):
    phone = Telephone(*(tools or (CALL_BACK, END_CALL)), instructions=BROADBAND)
    phone.say("My internet is not working.")
    return phone


def at_the_plug():
    phone = at_the_light()
    phone.say("It's red.")
    return phone


def after_the_last_step():
    phone = at_the_plug()
    phone.say("no", "no", "no")
    return phone


def test_a_step_that_asks_something_is_asked_without_whether_it_helped():
    assert at_the_light().said.endswith(LIGHT)


@pytest.mark.parametrize(
    "answer",
    [
        "it's red", "The light is off", "Red.", "green", "It's off.", "it is orange", "off", "Red?",
        "there is no light",
        "I don't know", "not sure", "yes it's green", "Yes.", "no", "okay done", "none of them", "it's blinking red",
        "I can't see it", "I think it's red, is that bad?", "It's read.", "the light is on", "still not working",
        "okay, it's green", "It's not on.", "I looked and it's red", "no lights at all", "it keeps flashing",
        "that's it, it's red", "I'm at the router and the light is red", "What's next?",
    ],
)  # fmt: skip
def test_any_answer_to_a_step_that_asks_goes_on(answer):
    assert at_the_light().say(answer) == UNPLUG


@pytest.mark.parametrize(
    "said",
    [
        "okay done", "I did that", "done", "Okay.", "I've done that", "yes I've plugged it in and waited",
        "Yes, I did it.",
        "yes, I unplugged it", "it's unplugged", "I unplugged it", "Alright, done.", "I'm done", "yes I have", "ready",
        "it is out", "okay, thirty seconds are over", "the cable is out now", "Yes, okay.", "I waited thirty seconds",
        "yep, did that", "yes I plugged it back in", "now the light is green", "finished",
        "All right, what now?", "I'm standing next to it", "I'm back",
    ],
)  # fmt: skip
def test_a_first_done_asks_whether_it_helped_and_a_second_goes_on(said):
    phone = at_the_plug()
    assert phone.say(said) == "Did that help?"
    assert phone.say(said) == PLUG_IN


@pytest.mark.parametrize("second", ["okay", "done", "okay done", "I did", "no", "not really", "nothing changed"])
def test_after_a_done_anything_but_a_yes_goes_on(second):
    phone = at_the_plug()
    phone.say("okay done")
    assert phone.say(second) == PLUG_IN


@pytest.mark.parametrize(
    "said",
    [
        "no", "No, it didn't.", "still not working", "It doesn't work.", "that didn't fix it", "nothing happened",
        "it's still slow", "not really", "I did that but it's still down", "same as before", "I tried that already",
        "I already did that", "it hasn't helped", "no change", "I can't get online", "I still can't get online",
        "It worked for a second but now it's down again", "it's not fixed", "No, I don't think so.", "I can't",
        "unfortunately not", "next", "I tried it once more and nothing", "it's not working yet, still no internet",
    ],
)  # fmt: skip
def test_what_did_not_help_goes_on(said):
    assert at_the_plug().say(said) == PLUG_IN


@pytest.mark.parametrize(
    "said",
    [
        "it works now", "that fixed it", "It's working.", "Yes, it's working now!", "yes", "Yes, it did.",
        "yes, thank you",
        "It works!", "I'm back online", "the internet is back", "That did the trick.", "okay, it's working again",
        "that helped", "it's not blinking any more and works now", "I did that and it works", "yes that helped, thanks",
        "The Wi-Fi is working again", "great, it works now", "we're connected again", "it's fixed", "That worked.",
    ],
)  # fmt: skip
def test_what_helped_ends_well(said):
    phone = at_the_plug()
    assert phone.say(said) == "Great, I'm glad that helped. Is there anything else I can help you with?"
    assert phone.say("no, that's all, thank you") == "Thank you for calling. Goodbye!"


@pytest.mark.parametrize("said", ["it works now", "That fixed it!", "oh, it's working again", "I'm back online"])
def test_a_step_that_asks_can_find_it_working(said):
    assert "glad that helped" in at_the_light().say(said)


@pytest.mark.parametrize(
    "said",
    [
        "no, still not working", "still not working", "No, it's still not working.", "it doesn't work after all",
        "oh no, it's down again", "no, it stopped again", "wait, the internet still doesn't work",
        "No. Still no internet.",
        "sorry, it isn't working", "it's gone again", "no the light is red again", "actually nothing changed",
    ],
)  # fmt: skip
def test_what_does_not_work_after_all_resumes_the_guide(said):
    phone = at_the_plug()
    phone.say("yes")
    assert phone.say(said) == f"I'm sorry. Let's go on. {PLUG_IN}"
    assert phone.calls == []


def test_what_does_not_work_after_the_last_step_gets_the_call_back_offered():
    phone = at_the_plug()
    phone.say("no", "no", "yes")
    assert phone.say("no, still not working").endswith(OFFER)
    assert phone.say("no, it still doesn't work").endswith(OFFER)
    assert phone.calls == []


def test_another_trouble_after_the_first_gets_its_own_guide():
    phone = at_the_plug()
    phone.say("it works now")
    assert "Stand in the same room" in phone.say("no, but the Wi-Fi is slow")


@pytest.mark.parametrize(
    "said", ["No, no problem.", "no thanks", "No, that won't be necessary.", "no more problems, bye"]
)
def test_a_no_after_it_helped_is_a_goodbye(said):
    phone = at_the_plug()
    phone.say("it works now")
    assert "Goodbye" in phone.say(said)


REPEATS = [
    "what did you say?", "Can you repeat that?", "sorry?", "What was that?", "what was the step?",
    "say that again please",
    "What do I have to do?", "what should I do again", "I didn't catch that", "tell me that again", "I forgot",
]  # fmt: skip


@pytest.mark.parametrize("said", REPEATS)
def test_repeat_says_the_whole_step(said):
    assert at_the_plug().say(said) == UNPLUG


@pytest.mark.parametrize("said", REPEATS)
def test_repeat_says_the_whole_step_even_after_a_done(said):
    phone = at_the_plug()
    phone.say("okay done")
    assert phone.say(said) == UNPLUG


@pytest.mark.parametrize("said", REPEATS)
def test_repeat_says_a_step_that_asks_again(said):
    assert LIGHT in at_the_light().say(said)


@pytest.mark.parametrize(
    "said",
    ["not yet", "I'm doing it", "hold on", "let me check", "one moment", "still waiting", "I'll go and look", "wait"],
)
def test_a_caller_who_is_still_at_it_gets_time(said):
    phone = at_the_plug()
    assert phone.say(said) == "Of course, take your time."
    assert phone.say("okay, done") == "Did that help?"


def test_what_was_not_understood_gets_the_step_again():
    assert at_the_plug().say("blorf wibble") == f"Sorry, I didn't catch that. {UNPLUG}"


def test_a_question_in_the_middle_is_answered_and_the_step_asked_again():
    assert at_the_light().say("Is there an outage?") == (
        f"There is no outage that we know of right now. Look at the router. {LIGHT}"
    )
    assert at_the_plug().say("Is there an outage?").endswith(UNPLUG)


def test_a_question_back_is_no_answer_to_a_step_that_asks():
    assert at_the_light().say("What colour should it be?").endswith(LIGHT)


def test_when_no_step_is_left_a_technician_calls_back():
    phone = after_the_last_step()
    assert phone.said.endswith(OFFER)
    phone.say("yes please", "Robert Garcia", "212-555-0176", "yes")
    assert phone.calls[-1].name == "request_callback"
    assert phone.calls[-1].arguments == {"name": "Robert Garcia", "phone": "212-555-0176"}


def test_the_call_back_can_be_declined():
    phone = after_the_last_step()
    assert phone.say("no thanks") == "All right. Is there anything else I can help you with?"
    assert "Goodbye" in phone.say("no")


@pytest.mark.parametrize("said", ["Can you send a technician?", "I want a technician", "I'd rather talk to a person"])
def test_a_technician_can_be_had_at_any_step(said):
    assert "call you back" in at_the_plug().say(said)
    assert "call you back" in at_the_light().say(said)


@pytest.mark.parametrize("said", ["goodbye", "okay bye", "I have to go", "Bye, thank you."])
def test_a_goodbye_at_a_step_hangs_up(said):
    for phone in (at_the_light(), at_the_plug()):
        assert "Goodbye" in phone.say(said)
        assert phone.call.name == "end_call"


def test_never_mind_ends_the_steps_and_from_the_beginning_starts_them_over():
    assert at_the_plug().say("never mind") == "No problem. Is there anything else I can help you with?"
    assert at_the_plug().say("let's start over").endswith(LIGHT)


def test_the_times_in_an_answer_book_nothing():
    phone = at_the_light(BOOK_BRIEFLY, CALL_BACK, END_CALL)
    phone.say("It's red.")
    assert phone.say("I waited 2 minutes") == "Did that help?"
    assert phone.say("okay") == PLUG_IN


def test_a_guide_that_another_model_began_is_continued_where_it_is():
    messages = [
        Message("system", BROADBAND),
        Message("user", "It is all so slow"),
        Message("assistant", "Oh dear. Stand in the same room as the router and try once more. How is it?"),
        Message("user", "no better"),
    ]
    assert "Restart the router" in reply(messages, [], "auto", NOW).text
    assert OFFER in reply([*messages, Message("user", "no")], [], "auto", NOW).text


MISHEARD = ["To buy.", "Good buy.", "Bye bye.", "goodbuy", "Bye-bye!", "Too bye."]


@pytest.mark.parametrize("said", MISHEARD)
def test_a_lone_farewell_is_understood_even_when_misheard(said):
    phone = at_the_plug()
    phone.say("it works now")
    assert "Goodbye" in phone.say(said)
    assert phone.call.name == "end_call"
    assert "Goodbye" in Telephone(BOOK, END_CALL).say(said)


@pytest.mark.parametrize("said", ["To buy.", "Good buy."])
def test_a_misheard_farewell_at_the_read_back_does_not_book(said):
    phone = almost_booked()
    assert "Just before you go" in phone.say(said)
    assert phone.calls == []


def test_a_misheard_farewell_hangs_up_at_a_step():
    assert "Goodbye" in at_the_light().say("To buy.")


@pytest.mark.parametrize("helps", ["Restart it. Does it work now?", "Restart it. Did that help?"])
def test_a_step_that_asks_whether_it_helped_takes_a_yes(helps):
    guide = f"You help customers.\nIf the printer does not work:\n1. {helps}\n2. Buy paper.\n"
    phone = Telephone(instructions=guide)
    assert phone.say("my printer is broken").endswith(helps)
    assert "Buy paper" in phone.say("no")
    phone = Telephone(instructions=guide)
    phone.say("my printer is broken")
    assert "glad that helped" in phone.say("yes")


@pytest.mark.parametrize("said", ["I'd like to buy a toothbrush", "is that a good buy", "to buy or to rent"])
def test_words_like_a_farewell_inside_a_sentence_are_none(said):
    assert "Goodbye" not in Telephone(END_CALL).say(said)
