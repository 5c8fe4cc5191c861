"""The same conversation, typed from beginning to end; no microphone is asked for."""

from tests.browser.call import Call
from tests.browser.money import assert_books_agree, micro_of


def test_an_appointment_is_booked_by_typing_alone(page, product):
    call = Call(page)
    page.goto("/")
    call.type_instead()
    call.wait_for_answer(0)
    call.type("I would like an appointment for Friday at nine a.m.")
    call.type("My name is Marguerite Delacroix")
    read_back = call.type("I live at 17 Hazelmere Lane")
    assert "Marguerite" in read_back
    assert "Hazelmere" in read_back
    assert "Monday" in call.type("No, make it Monday at ten")
    call.type("Yes")
    call.part("composer").locator("input[name=text]").fill("No, that is all, goodbye")
    call.part("composer").locator("input[name=text]").press("Enter")
    call.wait_for("ended")
    session = product.row("SELECT * FROM voice_session ORDER BY created_at DESC LIMIT 1")
    assert (session["outcome"], session["is_voice"]) == ("completed", 0)
    key = session["id"]
    cost_micro = assert_books_agree(product, f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}")
    assert micro_of(call.receipt_total()) == cost_micro
    assert page.evaluate("microphone.constraints") is None
