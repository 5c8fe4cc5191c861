"""Settings from the environment fail loudly."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


def test_an_unset_setting_has_its_default(monkeypatch):
    monkeypatch.delenv("SOME", raising=False)
    assert (env.text("SOME", "a"), env.flag("SOME", True), env.integer("SOME", 7)) == ("a", True, 7)


@pytest.mark.parametrize(("value", "meaning"), [("true", True), ("0", False), ("ON", True), ("no", False)])
def test_a_flag_is_one_of_the_usual_words(monkeypatch, value, meaning):
    monkeypatch.setenv("SOME", value)
    assert env.flag("SOME", not meaning) is meaning


def test_a_flag_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("SOME", "maybe")
    with pytest.raises(ImproperlyConfigured, match="SOME"):
        env.flag("SOME", False)


@pytest.mark.parametrize("value", ["ten", "1.5", "-1", "99"])
def test_a_number_that_is_none_or_out_of_bounds_is_refused(monkeypatch, value):
    monkeypatch.setenv("SOME", value)
    with pytest.raises(ImproperlyConfigured, match="SOME"):
        env.integer("SOME", 5, least=0, most=10)


def test_a_secret_may_stand_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("sk-1\n")
    monkeypatch.setenv("SOME_FILE", str(tmp_path / "key"))
    assert env.secret("SOME") == "sk-1"


def test_a_secret_in_a_file_that_cannot_be_read_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_FILE", str(tmp_path / "absent"))
    with pytest.raises(ImproperlyConfigured, match="SOME_FILE"):
        env.secret("SOME")


def test_a_choice_is_one_of_its_words(monkeypatch):
    monkeypatch.setenv("SOME", "xml")
    with pytest.raises(ImproperlyConfigured, match="json, text"):
        env.choice("SOME", "json", {"json", "text"})


def test_a_list_is_separated_by_commas(monkeypatch):
    monkeypatch.setenv("SOME", " a, b ,,c ")
    assert env.words("SOME") == ["a", "b", "c"]
