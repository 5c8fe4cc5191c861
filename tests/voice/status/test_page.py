"""/status/: for everybody, in plain words, whatever is away."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests import factories
from voice.models import CatalogueModel, CheckDay, ComponentBeat, Incident, ModelStatusChange, Switches
from voice.status import board, now

pytestmark = pytest.mark.usefixtures("catalogue")
HOSTILE = "</div><script>alert(1)</script>"


@pytest.fixture(autouse=True)
def nothing_kept_of_days():
    board.forget()
    yield
    board.forget()


@pytest.fixture(autouse=True)
def worker(catalogue):
    ComponentBeat.objects.create(name="worker")


@pytest.fixture
def database_away():
    """Every statement fails, as when the server is gone."""

    def refuse(*_):
        raise OperationalError("could not connect to 10.1.2.3 as parley")

    with connection.execute_wrapper(refuse):
        yield


def text_of(client, **headers):
    return client.get("/status/", headers=headers).content.decode()


def test_a_visitor_reads_that_everything_works(client):
    page = client.get("/status/")
    assert page.status_code == 200 and page["Cache-Control"] == "public, max-age=5"
    assert "Everything works" in page.content.decode() and "No uptime is promised" in page.content.decode()


def test_a_model_without_a_key_is_not_shown_and_the_embedded_one_is(client):
    text = text_of(client)
    assert "Parley&#x27;s own model" in text and "GPT Realtime mini" not in text


def test_a_model_under_maintenance_says_until_when_and_what_answers(client, settings):
    settings.OPENAI_API_KEY = "sk-test"
    back_at = timezone.now() + timedelta(days=2)
    CatalogueModel.objects.filter(slug="gpt-realtime-mini").update(status="maintenance", expected_back_at=back_at)
    text = text_of(client)
    assert "Part of this is under maintenance" in text and "GPT Realtime 2.1 mini answers instead." in text
    assert f"{back_at:%H:%M} UTC" in text


def test_incidents_are_in_their_sections(client):
    moment = timezone.now()
    hour, day = timedelta(hours=1), timedelta(days=1)
    Incident.objects.create(title="Slow answers", started_at=moment - hour)
    Incident.objects.create(title="New database", started_at=moment + day)
    Incident.objects.create(title="Silent calls", started_at=moment - 5 * day, ended_at=moment - 4 * day)
    Incident.objects.create(title="Long ago", started_at=moment - 200 * day, ended_at=moment - 100 * day)
    Incident.objects.create(title="Our secret", started_at=moment - hour, is_public=False)
    text = text_of(client)
    places = [text.index(words) for words in ("Going on now", "Slow answers", "Announced", "New database")]
    places += [text.index(words) for words in ("Past incidents", "Silent calls")]
    assert places == sorted(places)
    assert "Long ago" not in text and "Our secret" not in text
    assert "Something does not work as it should" in text


def test_hostile_words_are_shown_as_they_were_typed(client):
    model = CatalogueModel.objects.get(slug="parley-embedded")
    CatalogueModel.objects.filter(pk=model.pk).update(status="maintenance", status_note=HOSTILE, name=HOSTILE)
    Incident.objects.create(title=HOSTILE, body=f"{HOSTILE}\n\njavascript:alert(1)", model=model)
    text = text_of(client)
    assert "<script>alert" not in text and text.count("&lt;script&gt;alert(1)") >= 4


def test_nothing_in_the_page_needs_a_script_or_a_style_of_its_own(client):
    text = text_of(client)
    assert "<script" not in text and "style=" not in text and "<style" not in text


def test_the_page_shows_no_detail_of_the_operators(client, monkeypatch):
    monkeypatch.setattr("voice.status.parts.cache.get", fail_with_a_host_name)
    text = text_of(client)
    assert "Calls cannot be made" in text
    assert "10.1.2.3" not in text and "ConnectionError" not in text and "PUBLIC_URL" not in text


def test_without_a_database_one_sentence_is_left(client, database_away):
    page = client.get("/status/")
    assert page.status_code == 503 and page["Retry-After"] == "30"
    text = page.content.decode()
    assert "Our records cannot be reached at the moment" in text
    assert "10.1.2.3" not in text and "Traceback" not in text


def test_who_is_signed_in_reads_it_without_a_database_too(client):
    client.force_login(factories.make_user("alice@example.com"))
    with connection.execute_wrapper(refuse_everything):
        assert client.get("/status/").status_code == 503


def test_everything_down_is_told_calmly(client):
    CatalogueModel.objects.update(status="maintenance")
    ComponentBeat.objects.update(seen_at=timezone.now() - timedelta(hours=2))
    Switches.objects.update_or_create(pk=1, defaults={"calls_paused": True})
    text = text_of(client)
    assert "Calls are paused" in text and text.count("Nothing answers instead.") >= 4


def test_ninety_days_cost_no_more_statements_than_none(client, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as empty:
        client.get("/status/")
    fill_ninety_days()
    board.forget()
    now.forget()
    with django_assert_max_num_queries(len(empty.captured_queries)):
        client.get("/status/")


def test_of_two_looks_within_five_seconds_the_second_asks_nobody(client, django_assert_num_queries):
    client.get("/status/")
    with django_assert_num_queries(0):
        assert client.get("/status/").status_code == 200


def test_a_day_with_trouble_is_told_in_words(client):
    day = timezone.localdate() - timedelta(days=3)
    CheckDay.objects.create(subject="component:worker", day=day, checks=2880, failed=300)
    text = text_of(client)
    assert "300 of 2,880 checks failed" in text and "89.58 % of 2,880 checks found it well." in text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(client, method):
    assert getattr(client, method)("/status/").status_code == 405


def test_every_page_leads_to_it(client):
    assert 'href="/status/"' in client.get("/pricing/").content.decode()


def fail_with_a_host_name(*_):
    raise ConnectionError("10.1.2.3 refused")


def refuse_everything(*_):
    raise OperationalError("gone")


def fill_ninety_days():
    today = timezone.localdate()
    subjects = [f"component:{name}" for name in ("web", "database", "cache", "channels", "worker", "queue", "payments")]
    subjects += [f"model:{slug}" for slug in CatalogueModel.objects.values_list("slug", flat=True)]
    CheckDay.objects.bulk_create(
        CheckDay(subject=subject, day=today - timedelta(days=age), checks=2880, failed=age % 7)
        for subject in subjects
        for age in range(90)
    )
    for model in CatalogueModel.objects.all():
        for age in range(10):
            at = timezone.now() - timedelta(days=age)
            ModelStatusChange.objects.create(model=model, at=at, before="up", after="down", who="breaker")
            ModelStatusChange.objects.create(
                model=model, at=at + timedelta(hours=1), before="down", after="up", who="breaker"
            )
        Incident.objects.create(title=f"About {model}", model=model, started_at=timezone.now() - timedelta(days=2))
