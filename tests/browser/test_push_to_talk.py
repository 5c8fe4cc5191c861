"""A caller talks while holding the space bar: it is heard while held, and letting go presses nothing on the page."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.call import Call


@pytest.fixture
def call(page: Page) -> Call:
    """A call with push to talk, begun with the mouse as most are; its greeting is over."""
    page.goto("/")
    call = Call(page)
    call.part("hold-choice").check()
    call.talk()
    call.wait_for_answer(0)
    return call


def hold_space(call: Call, utterance: str) -> str:
    """Say a sentence with the space bar held; return the answer to it."""
    before = len(call.answers())
    call.page.keyboard.down("Space")
    expect(call.part("hold")).to_have_attribute("aria-pressed", "true")
    call.speak(utterance)
    call.page.keyboard.up("Space")
    expect(call.part("hold")).to_have_attribute("aria-pressed", "false")
    return call.wait_for_answer(before)


def assert_still_in_the_call(call: Call) -> None:
    expect(call.part("primary")).to_have_attribute("data-kind", "end")
    expect(call.part("primary")).to_have_attribute("aria-disabled", "false")


def test_holding_space_is_heard_answered_and_does_not_hang_up(call):
    expect(call.part("hold")).to_be_focused()
    assert hold_space(call, "kokoro_af_heart_u26")
    assert_still_in_the_call(call)
    call.hang_up()


def test_letting_go_of_space_presses_neither_button_nor_box_that_has_the_focus(call):
    for role in ("primary", "mute", "hold-choice"):
        call.part(role).focus()
        call.page.keyboard.down("Space")
        expect(call.part("hold")).to_have_attribute("aria-pressed", "true")
        call.page.keyboard.up("Space")
        expect(call.part("hold")).to_have_attribute("aria-pressed", "false")
        assert_still_in_the_call(call)
    expect(call.part("mute")).to_have_attribute("aria-pressed", "false")
    expect(call.part("hold-choice")).to_be_checked()
    call.hang_up()


def test_in_the_text_field_space_is_a_space(call):
    field = call.part("composer").locator("input[name=text]")
    field.focus()
    call.page.keyboard.type("a b")
    expect(field).to_have_value("a b")
    expect(call.part("hold")).to_have_attribute("aria-pressed", "false")
    call.hang_up()


def test_enter_switches_push_to_talk_off_while_space_is_speech(call):
    call.part("hold-choice").focus()
    call.page.keyboard.press("Enter")
    expect(call.part("hold-choice")).not_to_be_checked()
    expect(call.part("hold")).to_be_hidden()
    call.hang_up()
