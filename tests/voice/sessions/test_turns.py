"""The times kept of every turn."""

from voice.sessions.turns import Turns


def test_the_first_piece_of_an_answer_tells_how_long_the_caller_waited():
    turns = Turns(began_at=10.0)
    turns.caller_started("u1", 11.0)
    turns.caller_finished("u1", 13.0)
    turns.agent_speaking("a1", 13.7)
    turns.agent_speaking("a1", 15.0)
    caller, agent = turns.all()
    assert (caller.started_ms, caller.ended_ms, caller.latency_ms) == (1000, 3000, None)
    assert (agent.started_ms, agent.ended_ms, agent.latency_ms) == (3700, 5000, 700)


def test_a_greeting_answers_nobody_and_has_no_latency():
    turns = Turns(began_at=0.0)
    turns.agent_speaking("a1", 0.5)
    assert turns.all()[0].latency_ms is None


def test_only_the_first_item_after_a_turn_counts_as_the_wait():
    turns = Turns(began_at=0.0)
    turns.caller_finished("u1", 1.0)
    turns.agent_speaking("a1", 1.5)
    turns.agent_speaking("a2", 4.0)
    assert [turn.latency_ms for turn in turns.all()] == [None, 500, None]


def test_what_was_heard_of_an_interrupted_answer_is_kept():
    turns = Turns(began_at=0.0)
    turns.agent_speaking("a1", 1.0)
    turns.heard("a1", 320, interrupted=True)
    assert (turns.all()[0].heard_ms, turns.all()[0].interrupted) == (320, True)


def test_an_item_that_never_spoke_was_not_heard():
    turns = Turns(began_at=0.0)
    turns.heard("a9", 320, interrupted=True)
    assert turns.all() == []
