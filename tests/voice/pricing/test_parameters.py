import pytest

from voice.pricing.parameters import PARAMETERS, History, InvalidParameter, Question, question_of


def test_no_answers_mean_the_defaults():
    assert question_of({}) == Question()


def test_the_questions_defaults_are_those_of_the_table():
    assert {parameter.name: parameter.default for parameter in PARAMETERS}.items() <= {
        name: getattr(Question(), name) for name in Question.__slots__
    }.items()


def test_answers_are_read():
    question = question_of({"minutes_per_call": "7", "history": "recent", "calls_a_month": ""})
    assert (question.minutes_per_call, question.history, question.calls_a_month) == (7, History.RECENT, 300)


@pytest.mark.parametrize("value", ["0", "61", "-1", "1.5", "x", "٣", "1e3", " 5", "9" * 5000, "\x00"])
def test_a_value_that_is_no_answer_is_refused_by_name(value):
    with pytest.raises(InvalidParameter) as refused:
        question_of({"minutes_per_call": value})
    assert refused.value.name == "minutes_per_call"


def test_an_unknown_history_is_refused():
    with pytest.raises(InvalidParameter) as refused:
        question_of({"history": "all"})
    assert refused.value.name == "history"
