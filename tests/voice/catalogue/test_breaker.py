"""A model that does not answer is kept away from calls, and comes back when it answers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connections
from django.utils import timezone

from tests import factories
from voice.catalogue import breaker
from voice.catalogue.on_offer import resolve_model, stand_ins_for
from voice.models import CatalogueModel, CheckDay, ModelHealth, ModelStatusChange, Provider, ProviderKey

pytestmark = pytest.mark.usefixtures("catalogue")
MINI = "gpt-realtime-mini"
BUSY, WRONG_KEY = "upstream_unavailable", "upstream_unauthorized"


@pytest.fixture(autouse=True)
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


@pytest.fixture
def clock(monkeypatch):
    """The breaker's clock; call it to let so many seconds pass."""
    now = [timezone.now()]
    monkeypatch.setattr(breaker.timezone, "now", lambda: now[0])

    def tick(seconds):
        now[0] += timedelta(seconds=seconds)
        return now[0]

    return tick


def fail(times=1, slug=MINI, code=BUSY):
    for _ in range(times):
        breaker.failed(slug, code)


def served(slug=MINI):
    return resolve_model(slug, None).served.slug


def health(slug=MINI):
    return ModelHealth.objects.get(model__slug=slug)


def mini():
    return CatalogueModel.objects.get(slug=MINI)


def changes():
    return list(ModelStatusChange.objects.order_by("id").values_list("model__slug", "before", "after", "who", "why"))


def test_two_failures_leave_a_model_on_offer():
    fail(2)
    assert served() == MINI
    assert changes() == []


def test_the_third_in_a_row_keeps_it_away_and_says_so_to_callers():
    fail(3)
    resolved = resolve_model(MINI, None)
    assert resolved.served.slug == "gpt-realtime-2.1-mini"
    assert resolved.reason == "GPT Realtime mini is not answering: GPT Realtime 2.1 mini answers instead."


def test_what_opened_it_is_written_down_once():
    fail(5)
    assert changes() == [(MINI, "up", "down", "breaker", "upstream_unavailable, 3 in a row")]


def test_an_answer_between_failures_begins_the_row_anew():
    fail(2)
    breaker.answered(MINI)
    fail(2)
    assert served() == MINI


def test_failures_far_apart_are_no_row(clock):
    fail(2)
    clock(61)
    fail(2)
    assert served() == MINI


@pytest.mark.parametrize("code", [WRONG_KEY, "upstream_model_not_found", "model_not_found", "upstream_quota"])
def test_what_no_second_try_can_mend_keeps_it_away_at_once(code):
    fail(code=code)
    assert served() != MINI


def test_only_the_model_that_failed_is_kept_away():
    fail(3)
    assert served("gpt-realtime-2.1-mini") == "gpt-realtime-2.1-mini"


def test_an_answer_closes_it_again():
    fail(3)
    breaker.answered(MINI)
    assert served() == MINI
    assert changes()[1] == (MINI, "down", "up", "breaker", "A call was answered.")
    assert health().failures_in_a_row == 0


def test_names_that_nobody_knows_are_ignored():
    breaker.failed("gpt-9", BUSY)
    breaker.answered("gpt-9")
    assert not ModelHealth.objects.exists()


def test_a_long_code_is_kept_as_far_as_it_fits():
    fail(code="x" * 500)
    assert health().last_failure_code == "x" * 80


def test_looks_become_rarer_up_to_every_five_minutes(clock):
    fail(3)
    waits = []
    for _ in range(7):
        waits.append(round((health().next_probe_at - clock(0)).total_seconds()))
        clock(waits[-1])
        assert breaker.claim_probe(mini(), clock(0))
        breaker.probe_failed(mini(), BUSY)
    assert waits == [15, 30, 60, 120, 240, 300, 300]


def wait_s(clock):
    return round((health().next_probe_at - clock(0)).total_seconds())


def test_one_that_answers_looks_but_holds_no_call_is_tried_ever_more_rarely(clock):
    waits = []
    for _ in range(6):
        fail(code="upstream_quota")
        waits.append(wait_s(clock))
        clock(waits[-1])
        breaker.probe_answered(mini())
        assert served() == MINI
    assert waits == [15, 30, 60, 120, 240, 300]


@pytest.mark.parametrize("prove", [lambda: breaker.answered(MINI), lambda: breaker.probe_answered(mini())])
def test_one_that_held_a_call_or_was_well_twice_begins_anew(clock, prove):
    fail(3)
    clock(15)
    breaker.probe_answered(mini())
    prove()
    fail(3)
    assert wait_s(clock) == 15


def test_a_look_is_had_by_one(clock):
    assert breaker.claim_probe(mini(), clock(0))
    assert not breaker.claim_probe(mini(), clock(0))


def test_who_dies_of_a_look_leaves_it_to_the_next(clock):
    assert breaker.claim_probe(mini(), clock(0))
    assert breaker.claim_probe(mini(), clock(31))


def test_a_call_that_fails_late_does_not_put_the_look_off(clock):
    fail(3)
    due = health().next_probe_at
    clock(5)
    fail()
    assert health().next_probe_at == due


def test_with_nobody_to_look_calls_try_it_themselves(clock):
    fail(3)
    clock(15 + 59)
    assert served() != MINI and breaker.keeps_away(health())
    clock(2)
    assert served() == MINI and not breaker.keeps_away(health())
    fail()
    assert served() != MINI


def test_a_model_that_failed_a_look_is_looked_at_soon_and_three_looks_keep_it_away(clock):
    for _ in range(3):
        assert served() == MINI
        assert breaker.claim_probe(mini(), clock(15))
        breaker.probe_failed(mini(), BUSY)
    assert served() != MINI


def test_closing_by_hand_says_who_it_was():
    fail(3)
    assert breaker.close_by_hand(mini(), "ops@example.com")
    assert served() == MINI
    assert changes()[1] == (MINI, "down", "up", "ops@example.com", "Closed by hand.")


def test_closing_what_is_closed_changes_nothing():
    assert not breaker.close_by_hand(mini(), "ops@example.com")
    assert changes() == []


def test_each_day_counts_what_was_asked_and_what_was_not_answered(clock):
    breaker.answered(MINI)
    fail(2)
    [day] = CheckDay.objects.all()
    assert (day.subject, day.day, day.checks, day.failed) == (f"model:{MINI}", timezone.localdate(clock(0)), 3, 2)


def test_a_call_that_is_answered_costs_one_statement_to_write(django_assert_num_queries):
    breaker.answered(MINI)
    # A look at its breaker, and the day's count.
    with django_assert_num_queries(2):
        breaker.answered(MINI)


@pytest.fixture
def with_own_key(organisation):
    provider = Provider.objects.create(name="Theirs", adapter="openai", api_key="sk-ours")
    CatalogueModel.objects.filter(slug=MINI).update(provider=provider)
    ProviderKey.objects.create(provider=provider, organisation=organisation, api_key="sk-wrong")
    return organisation


def test_an_organisations_own_wrong_key_keeps_nobody_else_away(with_own_key):
    breaker.failed(MINI, WRONG_KEY, with_own_key.pk)
    assert served() == MINI


def test_what_is_the_models_counts_whosever_key_it_was(with_own_key):
    for _ in range(3):
        breaker.failed(MINI, BUSY, with_own_key.pk)
    assert served() != MINI


def test_another_organisation_meets_our_key(with_own_key):
    breaker.failed(MINI, WRONG_KEY, factories.make_organisation().pk)
    assert served() != MINI


def test_the_next_rung_is_not_one_that_does_not_answer():
    fail(3, "gpt-realtime-2.1-mini")
    assert next(stand_ins_for(MINI, None).after([MINI])).slug == "parley-embedded"


def at_once(work, times):
    barrier = Barrier(times)

    def one(_):
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
class TestAtOnce:
    """Real threads against a real database."""

    def test_failures_at_once_are_all_counted_and_open_it_once(self):
        at_once(fail, 8)
        assert health().failures_in_a_row == 8
        assert [after for _, _, after, _, _ in changes()] == ["down"]
        assert CheckDay.objects.get().failed == 8

    def test_answers_at_once_close_it_once(self):
        fail(3)
        at_once(lambda: breaker.answered(MINI), 8)
        assert [after for _, _, after, _, _ in changes()] == ["down", "up"]
        assert CheckDay.objects.get().checks == 11

    def test_of_workers_at_once_one_has_the_look(self):
        now = timezone.now()
        assert sorted(at_once(lambda: breaker.claim_probe(mini(), now), 8)) == [False] * 7 + [True]

    def test_what_one_process_finds_counts_for_the_next_call_of_another(self):
        """Each thread has a connection of its own, as each process has: nothing is kept between two questions."""
        assert at_once(served, 2) == [MINI, MINI]
        at_once(lambda: fail(3), 1)
        assert at_once(served, 2) == ["gpt-realtime-2.1-mini"] * 2
        at_once(lambda: breaker.close_by_hand(mini(), "ops@example.com"), 1)
        assert at_once(served, 2) == [MINI, MINI]
