"""A network that goes away does not end the call: it goes on where it was, as one call with one receipt."""

from uuid import UUID

import pytest

from tests.browser.axe import violations_of
from tests.browser.cable import Cable
from tests.browser.call import Call
from tests.browser.desk import GREETING, Desk, ended
from tests.browser.money import assert_books_agree, micro_of
from tests.browser.waiting import wait_until

# A button that has just changed its meaning takes no press yet, and its colour is still on the way.
BUTTON_SETTLES_MS = 800


@pytest.fixture
def cable(product):
    cable = Cable(int(product.url.rpartition(":")[2]))
    yield cable
    cable.close()


@pytest.fixture
def frail_page(context, cable):
    """A page behind the cable. A network that is pulled out is no fault of the page's."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{cable.url}/")
    yield page
    assert not faults, faults


def latest_session(product):
    return product.row("SELECT * FROM voice_session ORDER BY created_at DESC LIMIT 1")


def assert_one_call_with_one_receipt(call, product, session_id):
    session = latest_session(product)
    assert session["id"] == session_id
    assert session["end_reason"] == "caller_hung_up"
    assert micro_of(call.receipt_total()) == assert_books_agree(product, str(UUID(session_id)))


def test_a_typed_call_outlives_a_browser_that_goes_offline(page, context, product):
    page.goto("/")
    call = Call(page)
    call.type_instead()
    call.wait_for("listening")
    assert "9am" in call.type("What are your opening hours?")
    said, session_id = call.captions(), latest_session(product)["id"]
    context.set_offline(True)
    call.wait_for("reconnecting")
    assert call.part("state").inner_text() == "Reconnecting"
    assert call.part("hint").inner_text().startswith("Your call is kept for ")
    page.wait_for_timeout(3000)
    context.set_offline(False)
    call.wait_for("listening")
    assert call.captions() == said
    call.type("And on Saturday?")
    assert call.captions()[: len(said)] == said
    call.hang_up()
    assert_one_call_with_one_receipt(call, product, session_id)


def test_a_spoken_call_goes_on_over_a_new_connection(frail_page, cable, product):
    call = Call(frail_page)
    call.talk()
    call.wait_for_answer(0)
    said, session_id = call.captions(), latest_session(product)["id"]
    cable.pull()
    call.wait_for("reconnecting")
    frail_page.wait_for_timeout(2500)
    cable.plug_in()
    call.wait_for("listening")
    assert call.captions() == said
    assert latest_session(product)["resumes"] == 1
    before = len(call.answers())
    assert call.say("kokoro_af_heart_u01")
    assert len(call.answers()) == before + 1
    assert call.captions()[: len(said)] == said
    call.hang_up()
    assert_one_call_with_one_receipt(call, product, session_id)


def test_an_answer_that_is_cut_by_the_network_is_heard_to_its_end_once(frail_page, cable):
    call = Call(frail_page)
    call.talk()
    call.wait_for("speaking")
    cable.pull()
    call.wait_for("reconnecting")
    frail_page.wait_for_timeout(1500)
    cable.plug_in()
    call.wait_for("listening")
    wait_until(lambda: len(call.answers()) == 1)
    assert "Rosewood Dental" in call.answers()[0]


def test_the_countdown_is_for_the_eyes_and_told_once(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("reconnecting")
    told = call.part("told-once").inner_text()
    assert told == "Your call is kept for 30 seconds"
    wait_until(lambda: call.part("hint").inner_text() == "Your call is kept for 27 seconds")
    assert call.part("told-once").inner_text() == told
    assert call.part("hint").get_attribute("aria-hidden") == "true"
    assert violations_of(page) == []
    desk.resumed()
    call.wait_for("listening")
    assert call.part("told-once").inner_text() == "You are connected again"


def test_what_the_caller_chose_and_saw_goes_on_after_a_break(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    call.part("mute").click()
    desk.lose()
    call.wait_for("reconnecting")
    desk.resumed(elapsed_ms=65_000, used_micro=2_400_000)
    call.wait_for("muted")
    assert desk.wait_for("microphone.state", 2) == {"type": "microphone.state", "muted": True}
    assert call.part("elapsed").inner_text() in ("1:05", "1:06", "1:07")
    assert call.part("credits").inner_text() == "2.4 credits"
    assert call.answers() == [GREETING]
    resume = desk.wait_for("session.resume")
    assert (resume["resume_token"], resume["received_messages"]) == ("a-token-of-the-test", 2)


def test_a_call_that_ended_meanwhile_says_so_and_shows_its_receipt(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("reconnecting")
    desk.is_away, desk.answer_to_resume = False, {"type": "session.ended", **ended("silence")}
    call.wait_for("ended")
    assert call.part("state").inner_text() == "The call ended while you were away"
    assert call.receipt_total() == "2.40"


def test_a_call_that_cannot_be_resumed_any_more_offers_another(page):
    desk, call = Desk(page, resume_within_ms=800), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("failed")
    assert call.part("trouble-title").inner_text() == "The call ended while you were away"
    assert call.part("primary-label").inner_text() == "Talk again"
    assert call.part("type-instead").is_visible()
    page.wait_for_timeout(BUTTON_SETTLES_MS)
    assert violations_of(page) == []
    desk.is_away = False
    call.part("primary").click()
    call.wait_for("listening")


def test_whoever_comes_back_too_late_is_shown_the_receipt_all_the_same(page):
    desk, call = Desk(page, resume_within_ms=800), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("failed")
    desk.is_away, desk.answer_to_resume = False, {"type": "session.ended", **ended("caller_disconnected")}
    page.evaluate("dispatchEvent(new Event('online'))")
    call.wait_for("ended")
    assert call.part("state").inner_text() == "The call ended while you were away"
    assert "longer than a call can wait" in call.part("ended-reason").inner_text()
    assert call.receipt_total() == "2.40"


def test_whoever_hangs_up_while_away_is_told_the_cost_when_back(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    wait_until(lambda: call.part("hint").inner_text() == "Your call is kept for 28 seconds")
    call.part("primary").click()
    desk.resumed()
    call.wait_for("ended")
    assert desk.all("session.end")
    assert call.receipt_total() == "2.40"


def test_what_is_typed_while_away_stays_in_the_box(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.type_instead()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("reconnecting")
    box = call.part("composer").locator("input[name=text]")
    box.fill("Are you there?")
    box.press("Enter")
    assert box.input_value() == "Are you there?"
    assert "You are not connected" in call.part("notices").inner_text()
    desk.resumed(voice=False)
    call.wait_for("listening")
    box.press("Enter")
    assert desk.wait_for("text.send")["text"] == "Are you there?"
    assert call.part("notices").inner_text() == ""


def test_what_was_typed_into_a_dying_connection_is_sent_again_and_nothing_else(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.type_instead()
    call.wait_for("listening")
    box = call.part("composer").locator("input[name=text]")
    for text in ("This arrived", "This did not"):
        box.fill(text)
        box.press("Enter")
    desk.wait_for("text.send", 2)
    desk.lose()
    call.wait_for("reconnecting")
    desk.resumed(voice=False)
    call.wait_for("listening")
    desk.caption("caller", "c1", "This arrived")
    assert desk.wait_for("text.send", 3)["text"] == "This did not"
    assert [text for speaker, text in call.captions() if speaker == "caller"] == ["This arrived", "This did not"]
