"""What counts as the end of a caller's wait, and the table made of it."""

import pytest

from tests.crash.__main__ import storm_report
from tests.crash.storm import table
from tests.crash.storm.waits import AT_ONCE_TWICE, Waits

CALL = "call"


def test_a_wait_ends_with_the_next_models_sound():
    waits = Waits()
    waits.upstream_died(CALL, "drop", "first1", is_owed=True)
    waits.heard(CALL, "item_first1_3")
    assert not waits.done
    waits.heard(CALL, "item_second2_1")
    assert [len(values) for values in waits.done.values()] == [1]


def test_a_connection_whose_number_begins_like_another_ones_is_not_taken_for_it():
    waits = Waits()
    waits.upstream_died(CALL, "drop", "first1", is_owed=True)
    waits.heard(CALL, "item_first12_1")
    assert list(waits.done) == ["drop"]


def test_nobody_waits_who_was_owed_nothing():
    waits = Waits()
    waits.upstream_died(CALL, "drop", "first1", is_owed=False)
    waits.heard(CALL, "item_second2_1")
    assert not waits.done
    assert waits.deaths == {"drop": 1}


def test_a_refusal_in_between_is_what_made_the_caller_wait():
    waits = Waits()
    waits.upstream_died(CALL, "drop", "first1", is_owed=True)
    waits.refused(CALL)
    waits.heard(CALL, "item_second2_1")
    assert list(waits.done) == ["handshake refused"]


def test_a_stall_is_what_made_the_caller_wait_though_others_refuse_after_it():
    waits = Waits()
    waits.upstream_died(CALL, "stall", "first1", is_owed=True)
    waits.refused(CALL)
    waits.given_up("first1")
    waits.heard(CALL, "item_second2_1")
    assert list(waits.done) == ["stall", "stall, once noticed"]


def test_a_second_model_that_breaks_before_it_is_heard_does_not_begin_the_wait_anew():
    waits = Waits()
    waits.upstream_died(CALL, "drop", "first1", is_owed=True)
    waits.upstream_died(CALL, "stall", "second2", is_owed=True)
    waits.heard(CALL, "item_second2_1")
    assert not waits.done
    waits.heard(CALL, "item_first3_1")
    assert list(waits.done) == [AT_ONCE_TWICE]


def test_what_never_came_is_counted():
    waits = Waits()
    waits.upstream_died(CALL, "garbage", "first1", is_owed=True)
    assert waits.is_waiting(CALL)
    waits.call_over(CALL, "upstream_failed")
    assert (dict(waits.lost), dict(waits.done)) == ({"garbage": 1}, {})
    assert dict(waits.why_lost) == {("garbage", "upstream_failed"): 1}
    assert not waits.is_waiting(CALL)


def test_a_percentile_is_one_of_the_values():
    values = [float(value) for value in range(1, 21)]
    assert [table.percentile(values, percent) for percent in (50, 95, 100)] == [10.0, 19.0, 20.0]
    assert table.percentile([7.0], 95) == 7.0
    assert table.percentile([], 95) is None


def test_a_missed_aim_is_called_so():
    waits = Waits()
    waits.done["drop"] = [0.5] * 18 + [2.5, 3.0]
    waits.done["garbage"] = [0.5] * 20
    waits.done["stall"] = [9.0]
    assert {row["cause"]: row["aim"] for row in table.rows_of(waits)} == {
        "drop": "MISSED", "garbage": "met", "stall": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("aims", "problems", "code"), [(False, [], 0), (True, [], 1), (False, ["it is still open"], 1)]
)
def test_a_missed_aim_fails_a_run_only_where_that_was_asked_for(capsys, aims, problems, code):
    waits = Waits()
    waits.done["drop"] = [2.5]
    result = {"rows": table.rows_of(waits), "facts": [], "problems": problems}
    assert storm_report(result, [], "seed 1", None, aims=aims) == code
    assert "MISSED: p95 under 2 s for drop" in capsys.readouterr().out


def test_the_table_says_the_same_on_a_terminal_and_on_a_page():
    waits = Waits()
    waits.done["drop"] = [0.25, 0.5]
    waits.lost["drop"] = 1
    rows = table.rows_of(waits)
    assert "drop" in table.as_text(rows)[1]
    assert table.as_markdown(rows)[2] == "| drop | next sound or word | 2 | 0.25 | 0.50 | 0.50 | - | 1 | met |"
