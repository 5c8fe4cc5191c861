"""An operator, signed in, and calls to look at."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_agent, make_cast, make_session, make_turn, make_usage, make_user
from voice.catalogue import breaker
from voice.catalogue.overrides import save_override
from voice.models import BlockedNetwork, CatalogueModel, ModelOverride, SessionState, Switches


@pytest.fixture
def cast(db):
    return make_cast()


@pytest.fixture
def operator(db):
    return make_user("operator@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def desk(client, operator, catalogue):
    """A browser in which the operator is signed in."""
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def make_live_session():
    def make(agent, **fields):
        now = timezone.now()
        live = {"state": SessionState.LIVE, "ended_at": None, "end_reason": "", "outcome": "", "duration_ms": 0}
        return make_session(agent, **{**live, "seen_at": now, "client_ip": "198.51.100.7", **fields})

    return make


@pytest.fixture
def fill(cast, make_live_session):
    """Make `count` more of everything the admin lists."""

    def make(count):
        for number in range(count):
            agent = make_agent(cast.organisation, name=f"Agent {number}")
            make_live_session(agent)
            session = make_session(agent, stars=4, comment="Quick.", client_ip="203.0.113.9")
            make_turn(session, 0, "caller")
            make_turn(session, 1, "agent", latency_ms=640, heard_ms=1500, interrupted=True)
            make_usage(session, ("audio_in", 100, 1_500_000_000, 150_000), ("audio_out", 10, 3_000_000_000, 30_000))
            blocked = {"reason": "Abuse", "created_by": cast.bob, "expires_at": timezone.now() + timedelta(days=1)}
            BlockedNetwork.objects.create(network=f"203.0.113.{BlockedNetwork.objects.count()}/32", **blocked)
            model = CatalogueModel.objects.order_by("slug")[number]
            override, _ = ModelOverride.objects.get_or_create(organisation=cast.organisation, model=model)
            save_override(override, who="operator@example.com")
            breaker.failed(model.slug, "upstream_unauthorized", None)
        Switches.objects.get_or_create(pk=1)

    return make
