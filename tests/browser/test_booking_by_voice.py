"""A caller books an appointment by speaking: corrects it once, interrupts once, and is sent a receipt that adds up."""

from pathlib import Path

import pytest

from tests.browser.call import Call
from tests.browser.money import assert_books_agree, micro_of
from tests.browser.waiting import wait_until


@pytest.fixture(scope="module")
def booked(chromium, product):
    """One whole conversation; the tests below look at what came of it."""
    context = chromium.new_context(base_url=product.url, viewport={"width": 1280, "height": 900})
    context.add_init_script(path=Path(__file__).parent / "microphone.js")
    page = context.new_page()
    call = Call(page)
    call.transcript = []
    page.goto("/")
    call.talk()
    call.transcript.append(call.wait_for_answer(0))
    for utterance in ("kokoro_af_heart_u26", "kokoro_af_heart_u06"):
        call.transcript.append(call.say(utterance))
    interrupt_the_read_back(call)
    for utterance in ("kokoro_af_heart_u25", "kokoro_af_heart_u03"):
        call.transcript.append(call.say(utterance))
    call.task = page.locator("[data-parley-call]").inner_text()
    call.said = call.captions()
    call.speak("kokoro_af_heart_u32")
    call.wait_for("ended")
    call.session = product.row("SELECT * FROM voice_session ORDER BY created_at DESC LIMIT 1")
    yield call
    context.close()


def interrupt_the_read_back(call: Call) -> None:
    before = len(call.answers())
    call.speak("kokoro_af_heart_u15")
    call.wait_for("speaking")
    call.speak("kokoro_af_heart_u31")
    wait_until(lambda: len(call.answers()) > before + 1, 60)
    call.wait_for("listening")
    call.transcript.append(call.answers()[-1])


def test_the_assistant_greets_first(booked):
    assert "appointment" in booked.transcript[0]


def test_what_was_understood_is_read_back(booked):
    read_back = booked.transcript[3]
    assert "Sarah" in read_back, booked.captions()
    assert "Maple" in read_back, booked.captions()


def test_a_correction_is_taken(booked):
    assert "4:15" in booked.transcript[4]


def test_an_interrupted_answer_stops_and_shows_only_what_was_heard(booked):
    assert booked.part("captions").locator("[data-interrupted=true]").count() == 1


def test_the_finished_task_is_shown(booked):
    assert "Sarah Johnson" in booked.task
    assert "4:15" in booked.task


def test_the_call_is_recorded_as_completed(booked):
    session = booked.session
    assert (session["state"], session["outcome"], session["task_completed"], session["end_reason"]) == (
        "ended",
        "completed",
        "book_appointment",
        "agent_hung_up",
    )


def test_what_cannot_be_filled_in_afterwards_is_kept(booked, product):
    session = booked.session
    assert (session["model_asked"], session["model_served"]) == ("gpt-realtime-mini", "parley-embedded")
    assert len(session["visitor_id"]) >= 32
    turns = product.rows("SELECT * FROM voice_turn WHERE session_id = ?", session["id"])
    answered = [turn for turn in turns if turn["speaker"] == "agent" and turn["latency_ms"] is not None]
    assert len(answered) >= 5
    assert sum(turn["interrupted"] for turn in turns) == 1


def test_the_books_agree_to_the_micro_credit(booked, product):
    cost_micro = assert_books_agree(product, hyphenated(booked.session["id"]))
    assert micro_of(booked.receipt_total()) == cost_micro
    assert sum(map(micro_of, booked.receipt_amounts())) == cost_micro


def test_nothing_is_stored_or_logged_of_what_was_said_but_what_the_task_collected(booked, product):
    sentences = [text.lower() for speaker, text in booked.said if speaker == "caller" and len(text.split()) > 3]
    assert sentences
    for path in [product.log, *product.data_dir.rglob("*.sqlite3*"), *product.data_dir.rglob("*.log")]:
        content = path.read_bytes().lower()
        assert [sentence for sentence in sentences if sentence.encode() in content] == [], path
    note = product.row("SELECT written_by, content FROM voice_note WHERE session_id = ?", booked.session["id"])
    assert note["written_by"] == "fields"
    assert "Sarah Johnson" in note["content"]


def test_the_call_can_be_rated(booked, product):
    booked.part("rating").locator("label", has_text="4 stars").click()
    booked.part("comment-field").locator("textarea").fill("Very smooth")
    booked.part("rating").get_by_role("button", name="Send rating").click()
    query = "SELECT stars, comment FROM voice_session WHERE id = ?"
    wait_until(lambda: product.row(query, booked.session["id"]) == {"stars": 4, "comment": "Very smooth"})


def hyphenated(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"
