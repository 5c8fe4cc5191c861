"""The stage of every story: an organisation with credits, its public agent, a model that follows a script."""

import pytest

from tests import factories
from tests.fakes.scripted_upstream import ScriptedUpstream
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
