"""`./parley run --tls`: what the servers are told, and where visitors are sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.run import environment, make_plan, web_command


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PORT", "8443")
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    return make_plan("daphne", worker=False, models=False, tls=True)


def test_daphne_is_told_where_it_is(plan):
    endpoint = web_command(plan)[2]
    assert endpoint.startswith(r"ssl:8443:interface=\:\:1:privateKey=")
    assert endpoint.endswith(f"certKey={plan.certificate}")


def test_uvicorn_is_told_where_it_is(plan):
    command = web_command(replace(plan, server="uvicorn"))
    assert command[command.index("--ssl-certfile") + 1] == str(plan.certificate)
    assert command[command.index("--ssl-keyfile") + 1] == str(plan.key)


def test_links_in_mails_are_https(plan):
    assert environment(plan)["PUBLIC_URL"] == plan.address == "https://[::1]:8443"


def test_an_address_that_was_set_is_kept(plan, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://desk.example")
    assert environment(plan)["PUBLIC_URL"] == "https://desk.example"


def test_it_is_kept_with_the_data(plan):
    assert plan.certificate.parent == Path(plan.data_dir) / "tls"
