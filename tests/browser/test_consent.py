"""Callers are asked about their words before the microphone; a yes keeps them as heard, a no keeps not one."""

import sqlite3
from contextlib import closing

import pytest

from tests.browser.call import Call
from tests.browser.test_every_page import faults_of
from tests.browser.test_newcomer import sign_up, verify_by_mail
from tests.browser.waiting import wait_until

# Said in no other conversation with this product: a declined or deleted one is searched for by its words.
NAME, STREET = "Oluwaseun Adeyemi", "Brambleberry"
MEMBERS_NAME = "Ngozi Okonkwo"


@pytest.fixture
def asks(product):
    """The front page's agent asks its callers, until the test is over."""
    set_policy(product, "ask")
    yield
    set_policy(product, "never")


def set_policy(product, policy):
    with closing(sqlite3.connect(product.data_dir / "db.sqlite3", timeout=30)) as database:
        database.execute("UPDATE voice_agent SET transcript_policy = ? WHERE is_demo", (policy,))
        database.commit()


def answers_the_question(call, role):
    wait_until(call.part("consent").is_visible)
    assert "90 days" in call.part("consent").inner_text()
    call.part(role).click()


def books_by_typing(page, role):
    """Type a booking after answering the question; return the call."""
    call = Call(page)
    page.goto("/")
    call.type_instead()
    answers_the_question(call, role)
    call.wait_for_answer(0)
    call.type("I would like an appointment for Friday at nine a.m.")
    call.type(f"My name is {NAME}")
    assert "I will pass this on" in call.type(f"I live at 17 {STREET} Lane")
    call.said = call.captions()
    call.hang_up()
    return call


def last_session(product):
    session = product.row("SELECT * FROM voice_session ORDER BY created_at DESC LIMIT 1")
    assert session["state"] == "ended"
    return session


def kept_words(product, session):
    return product.rows(
        "SELECT turn.speaker, said.text FROM voice_transcriptturn said"
        " JOIN voice_transcript kept ON kept.id = said.transcript_id"
        ' JOIN voice_turn turn ON turn.session_id = kept.session_id AND turn."index" = said."index"'
        ' WHERE kept.session_id = ? ORDER BY said."index"',
        session["id"],
    )


def traces_of(word, product):
    """Return where a word is: tables, any file of the product's, and what it logged."""
    found = []
    for table in product.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
        rows = product.rows(f'SELECT * FROM "{table["name"]}"')
        found += [table["name"]] if any(word.lower() in str(row).lower() for row in rows) else []
    files = [path for path in [product.log, *product.data_dir.rglob("*")] if path.is_file()]
    return found + [path.name for path in files if word.lower().encode() in path.read_bytes().lower()]


def test_a_caller_who_declines_leaves_not_one_word(page, product, asks):
    books_by_typing(page, "consent-no")
    session = last_session(product)
    assert (session["transcript_policy"], session["consent"], session["consent_version"]) == ("ask", 0, "ask-1/90d")
    assert session["consent_at"]
    for word in (NAME, "Oluwaseun", STREET):
        assert traces_of(word, product) == []


def test_what_a_caller_agreed_to_is_kept_word_for_word(page, product, asks):
    call = books_by_typing(page, "consent-yes")
    session = last_session(product)
    assert (session["consent"], session["consent_version"]) == (1, "ask-1/90d")
    kept = [(row["speaker"], row["text"]) for row in kept_words(product, session)]
    assert kept == call.said
    assert ("caller", f"I live at 17 {STREET} Lane") in kept
    assert traces_of(STREET, product) != []


def test_the_question_comes_before_the_microphone_and_speech_is_kept(page, product, asks):
    call = Call(page)
    page.goto("/")
    call.part("primary").click()
    wait_until(call.part("consent").is_visible)
    assert page.evaluate("microphone.constraints") is None
    assert page.evaluate("document.activeElement.dataset.role") == "consent-title"
    call.part("consent-yes").click()
    call.past_explanation(asked_in="asking")
    call.wait_for_answer(0)
    call.say("kokoro_af_heart_u26")
    said = call.captions()
    call.hang_up()
    assert [(row["speaker"], row["text"]) for row in kept_words(product, last_session(product))] == said
    assert [speaker for speaker, _ in said] == ["agent", "caller", "agent"]


def test_an_agent_that_keeps_nothing_asks_nothing(page, product):
    call = Call(page)
    page.goto("/")
    call.type_instead()
    call.wait_for_answer(0)
    assert call.part("consent").is_hidden()
    call.hang_up()
    assert last_session(product)["consent"] is None


def test_a_notice_can_only_be_agreed_to_or_left(page, product, asks):
    set_policy(product, "always")
    call = Call(page)
    page.goto("/")
    call.type_instead()
    wait_until(call.part("consent").is_visible)
    assert call.part("consent-no").count() == 0
    answers_the_question(call, "consent-yes")
    call.wait_for_answer(0)
    call.hang_up()
    assert last_session(product)["consent_version"] == "notice-1/90d"


def test_a_member_keeps_a_conversation_reads_it_and_deletes_it(page, product):
    sign_up(page, "consent@example.com")
    verify_by_mail(page, "consent@example.com")
    page.wait_for_url("**/console/")
    page.goto("/console/agents/new/appointment/")
    page.get_by_label("Keep conversations in writing").select_option("ask")
    page.get_by_role("button", name="Make the agent").click()
    call = Call(page)
    call.type_instead()
    wait_until(call.part("consent").is_visible)
    assert faults_of(page) == []
    call.part("consent-yes").click()
    call.wait_for_answer(0)
    call.type(f"My name is {MEMBERS_NAME}")
    call.hang_up()
    page.goto("/console/calls/")
    assert "In writing" in page.locator("tbody tr").first.inner_text()
    page.locator("tbody tr a").first.click()
    page.get_by_role("heading", name="What was said").wait_for()
    assert f"My name is {MEMBERS_NAME}" in page.locator(".turns").inner_text()
    assert faults_of(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="vtt").click()
    assert download.value.path().read_text().startswith("WEBVTT")
    page.get_by_text("Delete what was said").first.click()
    page.get_by_role("button", name="Delete what was said").click()
    page.get_by_text("What was said in this conversation is deleted.").wait_for()
    assert MEMBERS_NAME not in page.locator("main").inner_text()
    wait_until(lambda: traces_of(MEMBERS_NAME, product) == [])
