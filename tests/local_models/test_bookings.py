"""How the receptionist books, as callers experience it."""

import json

import pytest

from local_models.receptionist.messages import ToolCall
from tests.local_models.telephone import (
    ALL_TOOLS,
    BOOK,
    BOOK_BRIEFLY,
    CALL_BACK,
    END_CALL,
    Telephone,
    almost_booked,
    text,
    tool,
)


def test_it_opens_with_the_greeting_of_the_instructions():
    assert Telephone(*ALL_TOOLS).said == "Hello, this is Bright Smile Dental. How can I help you today?"


def test_it_asks_for_what_is_missing_in_order():
    phone = Telephone(*ALL_TOOLS)
    assert "name" in phone.say("I'd like to book a dental cleaning.")
    assert "address" in phone.say("My name is Sarah Johnson.")
    assert "day" in phone.say("I live at 42 Maple Street.")
    assert "time" in phone.say("Tuesday")
    assert "phone number" in phone.say("ten thirty in the morning")
    assert "Is that right?" in phone.say("415 555 0134")


def test_it_books_only_after_a_yes():
    phone = almost_booked()
    assert phone.calls == []
    phone.say("Yeah, that's correct.")
    assert phone.booked() == {
        "service": "dental cleaning",
        "name": "Sarah Johnson",
        "address": "42 Maple Street",
        "date": "2026-11-24",
        "time": "16:15",
        "phone": "415-555-0134",
    }


def test_the_read_back_says_everything():
    said = almost_booked().said
    for part in (
        "dental cleaning",
        "Sarah Johnson",
        "42 Maple Street",
        "Tuesday, November 24",
        "4:15 pm",
        "415-555-0134",
    ):
        assert part in said


def test_several_answers_in_one_sentence_are_all_taken():
    phone = Telephone(*ALL_TOOLS)
    phone.say(
        "Hi, this is Oluwaseun Adebayo, I need a plumber at 7 Kosciuszko Way tomorrow at 8 am, "
        "my number is 303 555 0199"
    )
    assert "Is that right?" in phone.said
    phone.say("yes")
    assert phone.booked() == {
        "service": "plumber",
        "name": "Oluwaseun Adebayo",
        "address": "7 Kosciuszko Way",
        "date": "2026-11-23",
        "time": "08:00",
        "phone": "303-555-0199",
    }


@pytest.mark.parametrize(
    ("correction", "slot", "value"),
    [
        ("No, make it Wednesday.", "date", "2026-11-25"),
        ("Actually, can we change that to Wednesday afternoon?", "date", "2026-11-25"),
        ("not Tuesday, Wednesday", "date", "2026-11-25"),
        ("actually my name is Sara", "name", "Sara"),
        ("no, it's Sara, not Sarah", "name", "Sara Johnson"),
        ("no, it's 44 Maple Street", "address", "44 Maple Street"),
        ("no, 44, not 42", "address", "44 Maple Street"),
        ("no, forty four, not forty two", "address", "44 Maple Street"),
        ("Actually make it five", "time", "17:00"),
        ("could we do half past two instead?", "time", "14:30"),
        ("No, the number is 702-555-1988.", "phone", "702-555-1988"),
        ("yes but make it Thursday", "date", "2026-11-26"),
    ],
)
def test_a_correction_at_the_read_back_is_taken_and_read_back_again(correction, slot, value):
    phone = almost_booked()
    assert "Is that right?" in phone.say(correction)
    assert phone.calls == []
    phone.say("yes")
    assert phone.booked()[slot] == value


def test_a_correction_leaves_everything_else_as_it_was():
    phone = almost_booked()
    phone.say("Actually, can we change that to Wednesday afternoon?", "yes")
    assert phone.booked()["time"] == "16:15"
    assert phone.booked()["address"] == "42 Maple Street"


def test_moving_to_another_part_of_the_day_asks_for_the_time_again():
    phone = almost_booked()
    assert "time" in phone.say("no, make it Wednesday morning")
    phone.say("at ten", "yes")
    assert (phone.booked()["date"], phone.booked()["time"]) == ("2026-11-25", "10:00")


def test_a_correction_is_taken_before_the_read_back_too():
    phone = Telephone(*ALL_TOOLS)
    phone.say("I need a haircut", "Michael Anderson", "12 Elm Court", "Friday", "noon")
    assert "phone" in phone.say("Actually, my name is Michelle Anderson")
    phone.say("212-555-0176", "yes please")
    assert phone.booked()["name"] == "Michelle Anderson"


def test_a_plain_no_asks_what_is_wrong_and_changes_only_that():
    phone = almost_booked()
    assert "What should I change?" in phone.say("No, that's not right.")
    assert "address" in phone.say("the address")
    assert "Is that right?" in phone.say("It's nine elm court, Denver, Colorado.")
    phone.say("correct")
    assert phone.booked()["address"] == "9 Elm Court, Denver, Colorado"


def test_the_same_call_can_be_changed_after_it_was_booked():
    phone = almost_booked()
    phone.say("yes")
    assert "Is that right?" in phone.say("Actually, make it Friday")
    phone.say("yes")
    assert [call.arguments["date"] for call in phone.calls] == ["2026-11-24", "2026-11-27"]


@pytest.mark.parametrize(
    "spelled",
    [
        "N-g-u-y-e-n",
        "N G U Y E N",
        "n g u y e n",
        "It's spelled N, G, U, Y, E, N.",
        "N as in Nancy, G, U, Y, E, N",
        "N.G.U.Y.E.N.",
    ],
)
def test_a_name_can_be_spelled_at_the_read_back(spelled):
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Newian", "42 Maple Street", "Friday at nine a.m.")
    assert "Nguyen" in phone.say(f"No, my last name is {spelled}") or "Nguyen" in phone.say(spelled)


def test_a_spelled_last_name_joins_the_first_name():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Kim Newian", "42 Maple Street", "Friday at nine a.m.")
    assert "Kim Nguyen," in phone.say("My last name is Nguyen, spelled N-G-U-Y-E-N.")


def test_a_misheard_name_is_not_taken_for_a_name():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment")
    assert "name" in phone.say("It's prey of a tale.") or "spell" in phone.said
    assert "Priya Patel" in phone.say("P-R-I-Y-A P-A-T-E-L") or "Thanks, Priya" in phone.said


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Hi, my name is Sarah Johnson.", "Sarah Johnson"),
        ("hi my name is sarah johnson", "Sarah Johnson"),
        ("Siobhan O'Sullivan", "Siobhan O'Sullivan"),
        ("It's Xochitl Quetzalcoatl.", "Xochitl Quetzalcoatl"),
        ("the name is Bond, James Bond", "James Bond"),
        ("Jean-Luc Picard here", "Jean-Luc Picard"),
        ("um, it's uh Kwame Nkrumah please", "Kwame Nkrumah"),
        ("You can call me Emily.", "Emily"),
        ("maria de la cruz", "Maria De La Cruz"),
        ("first name Wei, last name Zhang", "Wei Zhang"),
        ("This is Michael Anderson.", "Michael Anderson"),
        ("yeah sure, it's Zbigniew Brzezinski", "Zbigniew Brzezinski"),
        ("put it under Kowalczyk", "Kowalczyk"),
    ],
)
def test_names_never_heard_before_are_taken(said, name):
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", said, "1 Test Street", "Friday at nine a.m.", "yes")
    assert phone.booked()["name"] == name


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("I live at 42 Maple Street.", "42 Maple Street"),
        ("My address is 1230 Oak Avenue, Springfield.", "1230 Oak Avenue, Springfield"),
        ("twelve thirty Oak Avenue", "1230 Oak Avenue"),
        ("The house is at 715 West Lincoln Road, apartment 3B.", "715 West Lincoln Road, apartment 3B"),
        ("It's nine elm court, Denver, Colorado.", "9 Elm Court, Denver, Colorado"),
        ("two twenty one b baker street", "221B Baker Street"),
        ("18 Rue de la Paix", "18 Rue de la Paix"),
        ("It's 5 Tchoupitoulas Street", "5 Tchoupitoulas Street"),
        ("Rose Cottage, 3 Mill Lane", "Rose Cottage, 3 Mill Lane"),
    ],
)
def test_streets_never_heard_before_are_taken(said, address):
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson", said, "Friday at nine a.m.", "yes")
    assert phone.booked()["address"] == address


def test_a_street_without_a_number_is_asked_about_once():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson")
    assert "house number" in phone.say("Maple Street")
    phone.say("forty two", "Friday at nine a.m.", "yes")
    assert phone.booked()["address"] == "42 Maple Street"


def test_a_number_given_in_two_parts_is_put_together():
    phone = Telephone(*ALL_TOOLS)
    phone.say("I need a haircut", "Michael Anderson", "12 Elm Court", "Friday", "noon")
    assert "4 1 5" in phone.say("four one five")
    assert "415-555-0134" in phone.say("555 0134")


@pytest.mark.parametrize(
    "said",
    [
        "My phone number is 415-555-0134.",
        "415, 555, 0134",
        "four one five, five five five, zero one three four",
        "it's four one five triple five oh one thirty four",
        "(415) 555-0134",
        "415 555 oh 134",
    ],
)
def test_a_number_is_understood_however_it_is_said(said):
    phone = Telephone(*ALL_TOOLS)
    phone.say("I need a haircut", "Michael Anderson", "12 Elm Court", "Friday", "noon", said, "yes")
    assert phone.booked()["phone"] == "415-555-0134"


def test_an_hour_that_could_be_two_is_asked_about():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street")
    assert "morning or in the evening" in phone.say("Friday at seven")
    phone.say("in the evening", "yes")
    assert phone.booked()["time"] == "Friday, November 27, 2026 at 7 pm"


def test_two_days_to_choose_from_are_asked_about():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street")
    assert "Tuesday, November 24 or Wednesday, November 25?" in phone.say("Tuesday or Wednesday at ten")
    assert "Wednesday, November 25 at 10 am" in phone.say("Wednesday")


def test_a_day_without_a_time_asks_for_the_time():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street")
    assert "what time on Friday" in phone.say("Friday")


def test_never_mind_stops_the_booking():
    phone = almost_booked()
    assert "won't go ahead" in phone.say("never mind")
    assert phone.calls == []


def test_starting_over_forgets_everything():
    phone = almost_booked()
    assert "What can we do for you?" in phone.say("let's start over")


def test_a_caller_who_leaves_in_the_middle_is_told_that_nothing_was_booked():
    phone = Telephone(*ALL_TOOLS)
    phone.say("I'd like to book a dental cleaning.")
    assert "has not been made" in phone.say("I have to go, goodbye")
    assert phone.call == ToolCall("end_call", {})


def test_goodbye_before_the_yes_is_asked_about():
    phone = almost_booked()
    assert "shall I go ahead" in phone.say("ok thanks bye")
    assert phone.calls == []


def test_after_the_booking_it_says_so_and_asks_if_there_is_more():
    said = almost_booked().say("yes please")
    assert "all set" in said
    assert "Tuesday, November 24 at 4:15 pm" in said
    assert "anything else" in said


def test_it_says_what_the_tool_says():
    phone = Telephone(BOOK_BRIEFLY, result='{"ok": true, "message": "Dr. Lee will see you", "reference": "K42"}')
    said = phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street", "Friday at nine a.m.", "yes")
    assert "Dr. Lee will see you." in said
    assert "K42" in said


ORDER = tool("look_up_order", {"order_number": text("The number of the order")}, description="Where an order is.")
SHOP = "You help customers of Nimbus Lamps."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("It leaves tomorrow", "It leaves tomorrow."),
        ({"status": "shipped", "arrivesOn": "Friday", "ok": True}, "Status: shipped, Arrives on: Friday."),
        ({"message": "It is on its way", "carrier": "DHL"}, "It is on its way."),
        (["one lamp", "two chairs"], "one lamp and two chairs."),
    ],
)
def test_it_says_what_a_customers_server_answered(answer, said):
    phone = Telephone(ORDER, instructions=SHOP, result=json.dumps({"status": "ok", "answer": answer}))
    assert said in phone.say("Where is my order?", "A 1 0 1 7", "yes")


def test_it_says_why_a_customers_server_refused_and_not_how():
    told = {
        "status": "error",
        "message": "The tool answered with an error (HTTP 404).",
        "answer": {"error": "No such order"},
    }
    said = Telephone(ORDER, instructions=SHOP, result=json.dumps(told)).say("Where is my order?", "A 1 0 1 7", "yes")
    assert "No such order." in said
    assert "HTTP" not in said


def test_a_time_the_tool_refuses_is_asked_for_again():
    phone = Telephone(BOOK_BRIEFLY, result='{"ok": false, "error": "That time is taken."}')
    said = phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street", "Friday at nine a.m.", "yes")
    assert "That time is taken." in said
    assert "What other day and time" in said
    phone.result = '{"ok": true}'
    phone.say("Friday at ten a.m.", "yes")
    assert phone.booked()["time"] == "Friday, November 27, 2026 at 10 am"


def test_no_thank_you_ends_the_call_with_the_tool():
    phone = almost_booked()
    phone.say("yes", "No, thank you.")
    assert "Goodbye" in phone.said
    assert phone.call == ToolCall("end_call", {})


def test_without_a_tool_to_end_the_call_it_only_says_goodbye():
    phone = almost_booked(BOOK)
    phone.say("yes", "That's everything, thank you goodbye.")
    assert "Goodbye" in phone.said
    assert phone.call is None


def test_an_address_and_a_name_said_at_once_need_no_second_question():
    phone = Telephone(BOOK_BRIEFLY)
    assert "What day and time" in phone.say("I'm Robert Garcia and I live at 9 Birch Lane, I want an appointment")


def test_a_name_given_before_anything_else_is_kept():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("Hi, my name is Sarah Johnson.")
    assert "address" in phone.said


def test_choices_numbers_and_yes_or_no_are_slots_too():
    table = tool(
        "book_table",
        {
            "guests": {"type": "integer", "description": "How many guests"},
            "area": {"type": "string", "enum": ["inside", "garden_terrace"]},
            "high_chair": {"type": "boolean", "description": "Do you need a high chair"},
            "start_time": {"type": "string", "format": "date-time"},
            "email": text(),
        },
    )
    phone = Telephone(table)
    phone.say("I'd like to book a table for four people")
    assert "inside or garden terrace" in phone.said
    phone.say(
        "the terrace", "no", "Saturday at half past seven in the evening", "john dot smith at example dot com", "yes"
    )
    assert phone.calls[0].arguments == {
        "guests": 4,
        "area": "garden_terrace",
        "high_chair": False,
        "start_time": "2026-11-28T19:30:00",
        "email": "john.smith@example.com",
    }


def test_properties_that_may_be_null_are_not_asked_for():
    strict = tool("book_visit", {"name": text(), "notes": {"type": ["string", "null"]}})
    phone = Telephone(strict)
    phone.say("I'd like to book a visit", "Sarah Johnson", "yes")
    assert phone.calls == [ToolCall("book_visit", {"name": "Sarah Johnson", "notes": None})]


def test_first_and_last_name_are_two_slots_filled_by_one_answer():
    signup = tool(
        "book_visit", {"first_name": text(), "last_name": text(), "day": {"type": "string", "format": "date"}}
    )
    phone = Telephone(signup)
    phone.say("I'd like to book a visit", "my name is Amara Okafor", "the third of June", "yes")
    assert phone.calls[0].arguments == {"first_name": "Amara", "last_name": "Okafor", "day": "2027-06-03"}


def test_a_date_of_birth_is_a_day_in_the_past():
    register = tool("register_patient", {"name": text(), "date_of_birth": {"type": "string", "format": "date"}})
    phone = Telephone(register)
    phone.say("I'd like to register as a patient", "Sarah Johnson", "the third of June nineteen eighty five", "yes")
    assert phone.calls[0].arguments["date_of_birth"] == "1985-06-03"


def test_the_right_one_of_several_tools_is_chosen():
    cancel = tool("cancel_appointment", {"name": text()}, description="Cancel an appointment")
    phone = Telephone(BOOK_BRIEFLY, cancel)
    phone.say("I need to cancel my appointment", "Sarah Johnson", "yes")
    assert phone.calls == [ToolCall("cancel_appointment", {"name": "Sarah Johnson"})]


def test_a_second_booking_keeps_the_callers_name_but_not_the_time():
    phone = Telephone(BOOK_BRIEFLY)
    phone.say("I'd like an appointment", "Sarah Johnson", "42 Maple Street", "Friday at nine a.m.", "yes")
    assert "What day and time" in phone.say("I'd like to book another appointment")


def test_a_real_person_takes_a_number_and_calls_the_tool():
    phone = Telephone(*ALL_TOOLS)
    assert "name" in phone.say("Can I speak to a real person?")
    phone.say("Robert Garcia", "212-555-0176", "yes")
    assert phone.calls == [ToolCall("request_callback", {"name": "Robert Garcia", "phone": "212-555-0176"})]


def test_without_a_tool_for_it_a_call_back_is_noted():
    phone = Telephone(BOOK_BRIEFLY)
    assert "phone number" in phone.say("I want to talk to a human")
    phone.say("212-555-0176", "Robert Garcia")
    assert "call back on 212-555-0176" in phone.say("yes")


def test_an_interrupted_booking_goes_on_after_the_call_back():
    phone = Telephone(BOOK_BRIEFLY, CALL_BACK)
    phone.say("I'd like an appointment", "Sarah Johnson")
    phone.say("can somebody call me back", "212-555-0176")
    assert "Shall we go on with the appointment?" in phone.say("yes")
    assert "address" in phone.say("yes")


def test_hanging_up_is_not_answered_again():
    phone = Telephone(BOOK_BRIEFLY, END_CALL)
    phone.say("goodbye")
    assert phone.call == ToolCall("end_call", {})
