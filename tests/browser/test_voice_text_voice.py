"""From speaking to typing and back in one conversation: by choice, by need, and with no microphone at all."""

import pytest

from tests.browser.axe import violations_of
from tests.browser.call import Call
from tests.browser.desk import Desk
from tests.browser.money import assert_books_agree, micro_of
from tests.browser.test_network import latest_session
from tests.browser.waiting import wait_until

REFUSE = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Permission denied", "NotAllowedError");
};
"""


def is_typing(call):
    return call.part("composer").locator("input").evaluate("box => box === document.activeElement")


def is_listened_to(page):
    return page.evaluate("microphone.isOn()")


def test_a_caller_speaks_then_types_then_speaks_in_one_conversation(page, product):
    call = Call(page)
    page.goto("/")
    call.talk()
    call.wait_for_answer(0)
    session = latest_session(product)
    call.part("mode").click()
    wait_until(lambda: is_typing(call))
    assert not is_listened_to(page)
    assert "9am" in call.type("What are your opening hours?")
    assert call.part("mode-label").inner_text() == "Talk again"
    call.part("mode").click()
    wait_until(lambda: call.part("microphone").is_visible())
    call.wait_for("listening")
    assert is_listened_to(page)
    before = len(call.answers())
    call.say("kokoro_af_heart_u01")
    assert len(call.answers()) > before
    call.hang_up()
    assert latest_session(product)["id"] == session["id"]
    key = session["id"]
    cost_micro = assert_books_agree(product, f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}")
    assert micro_of(call.receipt_total()) == cost_micro


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_a_server_that_can_speak_no_more_goes_on_in_writing_and_says_why(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.say("model.changed", model_served="gpt-4.1", reason="gpt-realtime-mini is not answering.", voice=False)
    wait_until(lambda: is_typing(call))
    assert not is_listened_to(page)
    assert "we go on in writing" in call.part("notices").inner_text()
    assert violations_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_model_that_takes_over_in_voice_is_told_of_and_changes_nothing_else(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    desk.say("notice", code="one_moment", message="One moment.")
    wait_until(lambda: "One moment" in call.part("notices").inner_text())
    desk.say("model.changed", model_served="gpt-realtime", reason="gpt-realtime is answering now.", voice=True)
    wait_until(lambda: call.part("notices").inner_text().strip() == "gpt-realtime is answering now.")
    assert is_listened_to(page)
    assert call.part("mute").is_visible()


def test_whoever_wants_to_talk_and_cannot_types_on_and_is_not_listened_to(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    call.part("mode").click()
    assert desk.wait_for("mode.choose")["voice"] is False
    desk.say("model.changed", model_served="gpt-4.1", reason="", voice=False)
    call.part("mode").click()
    assert desk.wait_for("mode.choose", 2)["voice"] is True
    desk.say("notice", code="voice_unavailable", message="Talking is not possible at the moment.")
    wait_until(lambda: "Voice is still not possible" in call.part("notices").inner_text())
    assert not is_listened_to(page)
    assert call.part("mode").get_attribute("aria-disabled") == "false"


def test_a_call_that_can_only_begin_in_writing_lets_go_of_the_microphone(page):
    desk, call = Desk(page, voice=False), Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("listening")
    assert desk.all("session.start")[0]["voice"] is True
    assert not is_listened_to(page)
    assert "this conversation is in writing" in call.part("notices").inner_text()


def test_a_refused_microphone_offers_to_type_and_asks_for_nothing_twice(page):
    page.add_init_script(REFUSE)
    requests, challenges = [], []
    page.on("request", lambda request: "/sessions" in request.url and requests.append(request.post_data_json))
    page.on("request", lambda request: "challenge" in request.url and challenges.append(request.url))
    Desk(page)
    call = Call(page)
    page.goto("/")
    call.talk()
    call.wait_for("failed")
    assert call.part("trouble-title").inner_text() == "Your microphone is blocked for this site"
    assert violations_of(page) == []
    call.type_instead()
    call.wait_for("listening")
    assert is_typing(call)
    assert [request["voice"] for request in requests] == [False]
    assert len(challenges) == 1


def test_a_typed_call_may_become_spoken(page):
    desk, call = Desk(page), Call(page)
    page.goto("/")
    call.type_instead()
    call.wait_for("listening")
    assert call.part("mode-label").inner_text() == "Talk instead"
    call.part("mode").click()
    desk.wait_for("mode.choose")
    assert desk.audio_bytes == 0
    desk.say("model.changed", model_served="gpt-realtime-mini", reason="", voice=True)
    desk.wait_until(lambda: desk.audio_bytes > 0)


@pytest.mark.parametrize("width", [360, 1440])
def test_right_to_left_the_new_buttons_stay_in_sight(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    desk, call = Desk(page), Call(page)
    page.goto("/")
    page.evaluate("() => { document.documentElement.dir = 'rtl'; document.querySelector('.call').dir = 'rtl'; }")
    call.talk()
    call.wait_for("listening")
    desk.lose()
    call.wait_for("reconnecting")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = call.part("mode").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
