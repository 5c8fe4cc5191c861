"""GET /api/v1/status: one answer for monitors and other people's pages."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from voice.models import CatalogueModel, CheckDay, ComponentBeat, Incident
from voice.status import board, now, parts

URL = "/api/v1/status"
pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.fixture(autouse=True)
def nothing_kept():
    now.forget()
    board.forget()
    yield
    now.forget()
    board.forget()


@pytest.fixture
def worker():
    ComponentBeat.objects.create(name="worker")


def by_id(entries):
    return {entry["id"]: entry for entry in entries}


def test_all_is_well(client, worker):
    body = client.get(URL).json()
    assert (body["status"], body["since"], body["calls_paused"]) == ("operational", None, False)
    assert (body["voice"], body["text"], body["incidents"]) == (True, True, [])
    assert {entry["status"] for entry in body["components"] + body["models"]} == {"operational"}
    assert list(by_id(body["components"])) == ["web", "database", "cache", "channels", "worker", "queue", "payments"]


def test_just_after_a_start_a_worker_that_is_on_its_way_is_no_trouble(client, db, monkeypatch):
    monkeypatch.setattr(parts, "_began_at", timezone.now())
    body = client.get(URL).json()
    assert (body["status"], by_id(body["components"])["worker"]["status"]) == ("operational", "starting")
    assert "Starting" in client.get("/status/").content.decode()


def test_any_page_may_ask_and_keep_it_for_a_moment(client):
    answer = client.get(URL, headers={"Origin": "https://elsewhere.example"})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cache-Control"] == "public, max-age=5"
    assert "Access-Control-Allow-Credentials" not in answer and not answer.cookies


def test_a_model_that_is_away_says_what_answers_instead(client, worker, settings):
    settings.OPENAI_API_KEY = "sk-test"
    CatalogueModel.objects.filter(slug="gpt-realtime-mini").update(status="maintenance", status_note="New phones.")
    body = client.get(URL).json()
    model = by_id(body["models"])["gpt-realtime-mini"]
    assert (body["status"], model["status"], model["served_by"]) == (
        "maintenance",
        "maintenance",
        "gpt-realtime-2.1-mini",
    )
    assert (model["status_note"], model["expected_back_at"], model["kind"]) == ("New phones.", None, "realtime")


def test_ninety_days_are_told_oldest_first(client, worker):
    today = timezone.localdate()
    CheckDay.objects.create(subject="component:worker", day=today, checks=10, failed=5)
    CheckDay.objects.create(subject="component:worker", day=today - timedelta(days=89), checks=10)
    CheckDay.objects.create(subject="component:worker", day=today - timedelta(days=90), checks=10, failed=10)
    part = by_id(client.get(URL).json()["components"])["worker"]
    assert (len(part["days"]), part["checks"], part["failed"]) == (90, 20, 5)
    assert part["days"][-1] == {"day": str(today), "status": "outage", "checks": 10, "failed": 5}
    assert [day["status"] for day in part["days"][:2]] == ["operational", "unknown"]


def test_incidents_are_told_and_secret_ones_are_not(client, worker):
    model = CatalogueModel.objects.get(slug="parley-embedded")
    shown = Incident.objects.create(title="Slow answers", body="We look.", model=model)
    Incident.objects.create(title="Our secret", is_public=False)
    body = client.get(URL).json()
    assert [incident["id"] for incident in body["incidents"]] == [shown.pk]
    assert (body["incidents"][0]["model"], body["incidents"][0]["ended_at"]) == ("parley-embedded", None)
    assert (body["status"], body["since"]) == ("degraded", body["incidents"][0]["started_at"])


def test_without_a_database_it_says_outage(client):
    def refuse(*_):
        raise OperationalError("could not connect to 10.1.2.3")

    with connection.execute_wrapper(refuse):
        answer = client.get(URL)
    body = answer.json()
    assert (answer.status_code, body["status"], body["voice"], body["models"]) == (200, "outage", False, [])
    assert by_id(body["components"])["database"]["status"] == "outage"
    assert "10.1.2.3" not in json.dumps(body)


def test_it_is_only_read(client):
    assert client.post(URL).status_code == 405
