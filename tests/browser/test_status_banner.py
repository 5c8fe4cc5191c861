"""What is said above a call while a model is away: what answers instead, and that one may type."""

import pytest

from tests.browser.axe import violations_of
from tests.browser.call import Call
from tests.browser.inside import in_product
from tests.browser.waiting import wait_until

SWITCH = """
import sys, django
django.setup()
from django.core.management import call_command
call_command("model_status", *sys.argv[1:], by="operator@example.com")
"""


@pytest.fixture
def maintenance(product):
    """The operator's switch, back as it was at the end."""
    model = product.row("SELECT model_slug FROM voice_agent WHERE is_demo")["model_slug"]
    before = product.row("SELECT status FROM voice_cataloguemodel WHERE slug = ?", model)["status"]
    in_product(product, SWITCH, model, "maintenance", "--note", "Back for lunch.")
    yield model
    in_product(product, SWITCH, model, before)


@pytest.fixture
def no_voice(product, maintenance):
    """Nothing that can be talked to is on offer: without keys, only the embedded model was."""
    in_product(product, SWITCH, "parley-embedded", "maintenance")
    yield
    in_product(product, SWITCH, "parley-embedded", "available")


def banner_of(page):
    return page.locator("[data-parley-call] [data-part=status-banner]")


def test_nothing_is_said_while_all_is_well(page):
    page.goto("/")
    assert banner_of(page).count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_a_model_under_maintenance_is_told_of_with_what_answers_instead(page, maintenance, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto("/")
    said = banner_of(page).inner_text()
    assert "is under maintenance" in said
    assert "answers instead" in said
    assert "Back for lunch." in said
    assert violations_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_banner_leaves_the_room_to_the_call_and_the_call_works(page, maintenance):
    page.goto("/")
    assert "answers instead" in banner_of(page).inner_text()
    call = Call(page)
    call.type_instead()
    call.wait_for_answer(0)
    assert not banner_of(page).is_visible()
    assert "9am" in call.type("What are your opening hours?")
    call.hang_up()
    wait_until(lambda: banner_of(page).is_visible())


def test_the_banner_speaks_the_language_of_the_call(page, product, maintenance):
    key = product.row("SELECT public_key FROM voice_agent WHERE is_demo")["public_key"]
    page.goto(f"/embed/{key}/?form=inline&language=hi")
    assert "रखरखाव" in banner_of(page).inner_text()


def test_without_a_voice_a_call_begins_in_writing_and_says_why(page, no_voice):
    page.goto("/")
    assert "You can type instead" in banner_of(page).inner_text()
    call = Call(page)
    call.talk()
    call.wait_for_answer(0)
    assert "this conversation is in writing" in call.part("notices").inner_text()
    assert page.evaluate("microphone.constraints") is None, "the microphone was asked for"
    assert "9am" in call.type("What are your opening hours?")
    call.hang_up()
