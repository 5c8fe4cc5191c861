"""The stage of every story: an organisation with credits, its public agent, a model that follows a script."""

import pytest

from tests import factories
from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.fakes.slow_dial import SlowDial
from voice.sessions.orders import alive, control
from voice.upstream import registry


@pytest.fixture
def agent(transactional_db):
    """A public agent of an organisation with 1000 credits."""
    from voice.catalogue.seed import seed_catalogue

    seed_catalogue()
    return factories.make_agent(factories.make_organisation(credits=1000), is_public=True)


@pytest.fixture
def served_by(monkeypatch):
    """Let a scripted model answer the next calls: `served_by(steps)` returns it."""

    def serve(steps=(), **fields):
        upstream = ScriptedUpstream(steps, **fields)
        monkeypatch.setattr(registry, "dial", upstream.dial)
        return upstream

    return serve


@pytest.fixture
def never_polls(monkeypatch):
    """What ends a call now is the order itself."""
    monkeypatch.setattr(alive, "_LOOK_EVERY_S", 3600)


@pytest.fixture
def messages_get_lost(monkeypatch):
    """Orders reach nobody, as those of a process without the same channel layer."""
    monkeypatch.setattr(control, "_order", lambda *_, **__: None)
    monkeypatch.setattr(alive, "_LOOK_EVERY_S", 0.05)


@pytest.fixture
def dialling(monkeypatch):
    """Let this upstream answer when it is told to, if ever: `dialling(upstream)` returns its dial."""

    def dial(upstream):
        slow = SlowDial(upstream)
        monkeypatch.setattr(registry, "dial", slow.dial)
        return slow

    return dial
