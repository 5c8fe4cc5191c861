"""Ninety days of a model: what was counted, and for how long it was kept from calls."""

from datetime import UTC, date, datetime, timedelta

import pytest

from voice.models import CatalogueModel, CheckDay, ModelStatusChange
from voice.status.history import Away, Day, History, histories, spells
from voice.status.states import DayState
from voice.templatetags.status_words import day_in_words

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
START = datetime(2026, 8, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)


def after(hours):
    return START + hours * HOUR


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], []),
        ([(after(1), "up", "down"), (after(2), "down", "up")], [Away("down", after(1), after(2))]),
        ([(after(3), "down", "up")], [Away("down", START, after(3))]),
        ([(after(3), "up", "down")], [Away("down", after(3), None)]),
        ([(after(1), "up", "down"), (after(2), "up", "down")], [Away("down", after(1), None)]),
        (
            [(after(1), "available", "maintenance"), (after(5), "maintenance", "retired")],
            [Away("maintenance", after(1), after(5))],
        ),
        (
            [
                (after(1), "available", "maintenance"),
                (after(2), "up", "down"),
                (after(3), "maintenance", "preview"),
                (after(4), "down", "up"),
            ],
            [Away("down", after(2), after(4)), Away("maintenance", after(1), after(3))],
        ),
    ],
)
def test_changes_tell_when_a_model_was_away(changes, expected):
    assert list(spells(changes, START)) == expected


def change(model, at, before, now, **fields):
    ModelStatusChange.objects.create(model=model, at=at, before=before, after=now, who="breaker", **fields)


@pytest.fixture
def model(catalogue):
    return CatalogueModel.objects.get(slug="parley-embedded")


def history_of(slug="parley-embedded"):
    return histories(["worker"], [slug], NOW)[f"model:{slug}"]


def test_without_a_figure_nobody_looked(model):
    history = history_of()
    assert (len(history.days), history.days[0].day, history.days[-1].day) == (90, date(2026, 8, 25), date(2026, 11, 22))
    assert {day.state for day in history.days} == {DayState.UNKNOWN}
    assert (history.answered_percent, history.troubled) == ("", [])


def test_a_spell_across_midnight_is_divided_between_its_days(model):
    change(model, datetime(2026, 11, 20, 23, 0, tzinfo=UTC), "up", "down")
    change(model, datetime(2026, 11, 21, 2, 30, tzinfo=UTC), "down", "up")
    days = {day.day: day for day in history_of().troubled}
    assert {day: found.down_s for day, found in days.items()} == {
        date(2026, 11, 20): 3600,
        date(2026, 11, 21): 9000,
    }
    assert day_in_words(days[date(2026, 11, 21)]) == "calls were kept away for 2 h 30 min"


def test_what_is_going_on_lasts_until_now_and_not_until_midnight(model):
    change(model, NOW - 2 * HOUR, "available", "maintenance")
    today = history_of().days[-1]
    assert (today.maintenance_s, today.state) == (7200, DayState.MAINTENANCE)


def test_an_organisations_own_change_is_not_everybodys(model, organisation):
    change(model, NOW - 2 * HOUR, "available", "maintenance", organisation=organisation)
    assert history_of().troubled == []


def test_figures_are_added_up_and_the_share_is_rounded_down(model):
    CheckDay.objects.create(subject="model:parley-embedded", day=NOW.date(), checks=2999, failed=1)
    CheckDay.objects.create(subject="component:worker", day=NOW.date(), checks=7, failed=7)
    history = history_of()
    assert (history.checks, history.failed, history.answered_percent) == (2999, 1, "99.96")


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (Day(NOW.date(), DayState.DEGRADED, 2880, 41), "41 of 2,880 checks failed"),
        (Day(NOW.date(), DayState.MAINTENANCE, maintenance_s=7200), "under maintenance for 2 h"),
        (
            Day(NOW.date(), DayState.OUTAGE, 9, 9, down_s=20),
            "9 of 9 checks failed, calls were kept away for 1 min",
        ),
    ],
)
def test_a_day_in_words(day, words):
    assert day_in_words(day) == words


def test_a_history_without_days_has_no_share():
    assert History(()).answered_percent == ""
