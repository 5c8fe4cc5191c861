"""The look at everything: at most every five seconds, never without end, and honest about what does not answer."""

import threading

import pytest
from django.db import OperationalError, connection

from voice.models import CatalogueModel, ComponentBeat
from voice.status import kept, now
from voice.status.kept import Kept, NothingYet
from voice.status.models_now import models_now
from voice.status.now import look, status_now
from voice.status.parts import look_at_services, parts_here
from voice.status.states import State


def states():
    return {part.part.key: part.state for part in look_at_services()}


def test_an_answer_is_kept_until_it_is_old(monkeypatch):
    clock, made = [100.0], []
    monkeypatch.setattr(kept.time, "monotonic", lambda: clock[0])
    answer = Kept(lambda: made.append(1) or len(made), 5.0)
    assert [answer.get(), answer.get()] == [1, 1]
    clock[0] += 5.0
    assert answer.get() == 2
    answer.forget()
    assert answer.get() == 3


def test_of_many_who_ask_at_once_one_looks():
    began, may_end, made = threading.Event(), threading.Event(), []

    def make():
        began.set()
        may_end.wait(10)
        made.append(1)
        return "well"

    answer, found = Kept(make, 60.0), []
    askers = [threading.Thread(target=lambda: found.append(answer.get())) for _ in range(5)]
    for asker in askers:
        asker.start()
    began.wait(10)
    may_end.set()
    for asker in askers:
        asker.join(10)
    assert (found, made) == (["well"] * 5, [1])


def test_nobody_waits_for_ever_for_somebody_elses_look(monkeypatch):
    monkeypatch.setattr(kept, "_PATIENCE_S", 0.01)
    began, may_end = threading.Event(), threading.Event()
    answer = Kept(lambda: (began.set(), may_end.wait(10)), 60.0)
    asker = threading.Thread(target=answer.get)
    asker.start()
    began.wait(10)
    with pytest.raises(NothingYet):
        answer.get()
    may_end.set()
    asker.join(10)


def test_while_a_new_look_takes_long_the_last_one_is_told_for_a_while(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(kept, "_PATIENCE_S", 0.01)
    monkeypatch.setattr(kept.time, "monotonic", lambda: clock[0])
    answer = Kept(lambda: "well", 5.0)
    assert answer.get() == "well"
    with answer._lock:
        clock[0] += 19.0
        assert answer.get() == "well"
        clock[0] += 1.0
        with pytest.raises(NothingYet):
            answer.get()


def test_while_the_first_look_hangs_others_are_told_of_an_outage(monkeypatch):
    def nothing():
        raise NothingYet

    monkeypatch.setattr(now._kept, "get", nothing)
    found = status_now()
    assert (found.overall, found.has_records) == (State.OUTAGE, False)


@pytest.mark.django_db
def test_a_redis_that_is_gone_takes_the_cache_and_the_orders_with_it(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert states() == {"database": State.OPERATIONAL, "cache": State.OUTAGE, "channels": State.OUTAGE}


@pytest.mark.django_db
def test_a_cache_that_forgets_at_once_is_none(monkeypatch):
    monkeypatch.setattr("voice.status.parts.cache.get", lambda *_: None)
    assert states()["cache"] == State.OUTAGE


def test_a_database_that_goes_away_between_two_questions_is_an_outage(catalogue):
    def refuse_after_the_first(execute, sql, params, many, context):
        if sql == "SELECT 1":
            return execute(sql, params, many, context)
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse_after_the_first):
        found = look()
    assert (found.overall, found.has_records, found.models) == (State.OUTAGE, False, ())


def test_payments_are_a_part_only_where_something_is_sold(settings):
    settings.PAYMENTS = "off"
    assert "payments" not in {part.key for part in parts_here()}


def test_an_installation_without_any_model_has_no_calls(db):
    ComponentBeat.objects.create(name="worker")
    found = look()
    assert (found.overall, found.has_voice, found.has_text) == (State.OUTAGE, False, False)


def test_every_voice_under_maintenance_is_planned(catalogue):
    CatalogueModel.objects.filter(kind="realtime").update(status="maintenance")
    ComponentBeat.objects.create(name="worker")
    found = look()
    assert (found.overall, found.has_voice, found.has_text) == (State.MAINTENANCE, False, True)


def test_models_that_are_gone_or_not_set_up_are_not_shown(catalogue, settings):
    settings.OPENAI_API_KEY = "sk-test"
    CatalogueModel.objects.filter(slug="gpt-realtime").update(status="retired")
    slugs = [model.slug for model in models_now().models]
    assert "gpt-realtime-mini" in slugs and "gpt-realtime" not in slugs
    assert not any(slug.startswith(("azure-", "sarvam-")) for slug in slugs)
    assert slugs[0].startswith("gpt-realtime") and slugs == list(dict.fromkeys(slugs))
