"""The owner's colour, made readable on light and on dark ground."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from voice.models import WidgetLook
from voice.widget_look import contrast, look_of, mixed, readable, save_look, stylesheet, text_on

TOKENS = Path(__file__).parents[2] / "static" / "css" / "tokens.css"
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(colours, st.sampled_from(["#ffffff", "#1b1d1a"]))
def test_any_colour_can_be_read_on_either_ground(colour, ground):
    assert contrast(readable(colour, ground), ground) >= 4.5


@given(colours)
def test_text_on_any_colour_can_be_read(colour):
    assert contrast(text_on(colour), colour) >= 4.5


def test_a_colour_that_is_readable_stays_as_it_is():
    assert readable("#0b6b57", "#ffffff") == "#0b6b57"


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_mixing_takes_a_share_of_each():
    assert mixed("#000000", "#ffffff", 50) == "#7f7f7f"


def test_a_look_that_nobody_chose_writes_no_rules():
    assert stylesheet(WidgetLook()) == ":root {}\n"


def test_a_dark_look_is_dark_on_every_device():
    assert "color-scheme: dark;" in stylesheet(WidgetLook(theme="dark"))


def test_an_accent_reaches_every_token_that_is_made_of_it():
    css = stylesheet(WidgetLook(accent="#ff00aa"))
    tokens = TOKENS.read_text()
    made = set(re.findall(r"--([\w-]+):", css))
    assert made <= set(re.findall(r"--([\w-]+):", tokens)) and "accent" in made
    assert made >= set(re.findall(r"--([\w-]*accent[\w-]*):", tokens))


@pytest.mark.django_db
@pytest.mark.parametrize("accent", ["red", "#fff", "#12345g", "#123456;}", "#123456\n"])
def test_what_is_no_colour_is_not_kept(accent):
    agent = factories.make_agent(factories.make_organisation())
    with pytest.raises(ValidationError):
        save_look(agent, accent=accent)
    assert not WidgetLook.objects.exists()


@pytest.mark.django_db
def test_what_the_owner_chose_is_what_the_button_gets():
    agent = factories.make_agent(factories.make_organisation())
    save_look(agent, accent="#7a1fa2", position="left", label="Ask Rosewood")
    look = look_of(agent, default_label="Talk to us").as_dict()
    chosen = {"accent": "#7a1fa2", "onAccent": "#ffffff", "position": "left", "label": "Ask Rosewood"}
    assert look == {**chosen, "title": agent.name}
