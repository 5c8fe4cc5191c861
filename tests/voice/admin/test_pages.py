"""Every page of the operator's tool: it opens for an operator and for nobody else, and stays quick."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_turn, make_usage, make_user
from voice.models import Agent, BlockedNetwork, CatalogueModel, ModelOverride, ModelStatusChange, Session

LISTS = [
    "/admin/",
    "/admin/voice/agent/",
    "/admin/voice/blockednetwork/",
    "/admin/voice/cataloguemodel/",
    "/admin/voice/modeloverride/",
    "/admin/voice/modelstatuschange/",
    "/admin/voice/session/",
    "/admin/voice/session/?state__exact=live",
]
FORMS = [
    "/admin/voice/agent/add/",
    "/admin/voice/blockednetwork/add/",
    "/admin/voice/cataloguemodel/add/",
    "/admin/voice/modeloverride/add/",
    "/admin/voice/switches/1/change/",
    "/admin/voice/switches/pause/",
    "/admin/voice/switches/resume/",
]
MODELS = [Agent, BlockedNetwork, CatalogueModel, ModelOverride, ModelStatusChange, Session]


def change_page(model):
    return f"/admin/voice/{model._meta.model_name}/{model.objects.first().pk}/change/"


@pytest.mark.parametrize("page", LISTS + FORMS)
def test_every_page_opens_for_an_operator(desk, fill, page):
    fill(2)

    assert desk.get(page).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_every_row_opens_for_an_operator(desk, fill, model):
    fill(1)

    assert desk.get(change_page(model)).status_code == 200


@pytest.mark.parametrize("page", LISTS + FORMS)
def test_every_page_sends_others_to_the_login(client, cast, page):
    client.force_login(cast.alice, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(page).status_code == 302


@pytest.mark.parametrize("page", LISTS + FORMS)
def test_every_page_sends_strangers_to_the_login(client, db, page):
    assert client.get(page).status_code == 302


@pytest.mark.parametrize("page", ["/admin/voice/session/", "/admin/voice/switches/pause/"])
def test_staff_without_permission_see_neither_calls_nor_switches(client, db, page):
    helper = make_user("helper@example.com", is_staff=True)
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(page).status_code == 403


def test_staff_without_permission_see_no_figures(client, db):
    helper = make_user("helper@example.com", is_staff=True)
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")

    assert "Credits charged" not in client.get("/admin/").text


@pytest.mark.parametrize("page", LISTS)
def test_a_list_of_many_rows_costs_no_more_queries_than_one_of_few(desk, fill, page):
    fill(2)
    few = queries_of(desk, page)
    fill(8)

    assert queries_of(desk, page) == few


def test_a_session_of_many_turns_costs_no_more_queries_than_one_of_few(desk, fill):
    fill(1)
    page = change_page(Session)
    session = Session.objects.first()
    make_turn(session, 100, "caller")
    make_usage(session, ("audio_in", 100, 1_500_000_000, 150_000))
    few = queries_of(desk, page)
    for index in range(101, 110):
        make_turn(session, index, "caller")
        make_usage(session, ("audio_in", 100, 1_500_000_000, 150_000))

    assert queries_of(desk, page) == few


@pytest.mark.parametrize("page", LISTS + FORMS)
def test_no_page_needs_more_than_the_content_policy_allows(desk, fill, page):
    fill(1)

    assert inline_code_of(desk.get(page).text) == []


@pytest.mark.parametrize("model", MODELS)
def test_no_row_needs_more_than_the_content_policy_allows(desk, fill, model):
    fill(1)

    assert inline_code_of(desk.get(change_page(model)).text) == []


def test_the_policy_check_would_notice_inline_code():
    page = '<style>p {}</style><p style="color: red" onclick="go()"><script>go()</script><a href="javascript:go()">'

    assert len(inline_code_of(page)) == 5


@pytest.mark.parametrize("model", [Agent, Session, BlockedNetwork])
def test_what_an_organisation_typed_cannot_become_markup(desk, fill, model):
    fill(1)
    Agent.objects.update(name="<img src=x onerror=go()>")
    BlockedNetwork.objects.update(reason="<img src=x onerror=go()>")
    Session.objects.update(comment="<img src=x onerror=go()>", model_served="<img src=x onerror=go()>")

    pages = [desk.get(f"/admin/voice/{model._meta.model_name}/").text, desk.get(change_page(model)).text]

    assert all("<img src=x" not in page for page in pages)


def queries_of(browser, page):
    browser.get(page)
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(page).status_code == 200
    return len(queries)


def inline_code_of(page):
    scripts = [tag for tag in re.findall(r"<script\b[^>]*>", page) if " src=" not in tag]
    attributes = [
        found for tag in re.findall(r"<[a-z][^>]*>", page) for found in re.findall(r"\s(?:style|on[a-z]+)=", tag)
    ]
    return scripts + attributes + re.findall(r"<style\b|javascript:", page)
