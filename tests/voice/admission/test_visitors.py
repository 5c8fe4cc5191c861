from datetime import date

import pytest

from voice.admission.visitors import cookie_value, visitor_id

NOVEMBER, DECEMBER = date(2026, 11, 30), date(2026, 12, 1)


def test_a_visitor_keeps_a_cookie_that_could_be_ours():
    cookie = cookie_value("")
    assert cookie_value(cookie) == cookie


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "<script>alert(1)</script>", "é" * 30])
def test_anything_else_is_replaced(given):
    assert cookie_value(given) != given


def test_a_visitor_is_the_same_all_month_and_another_the_next():
    assert visitor_id("cookie", date(2026, 11, 1)) == visitor_id("cookie", NOVEMBER) != visitor_id("cookie", DECEMBER)


def test_the_pseudonym_depends_on_our_secret(settings):
    before = visitor_id("cookie", NOVEMBER)
    settings.SECRET_KEY = "another"
    assert visitor_id("cookie", NOVEMBER) != before
    assert len(before) == 64
