"""What the tests of the pages share: the cast, a seeded catalogue, an agent that alice and bob own."""

import pytest

from tests.factories import make_agent, make_cast
from voice.catalogue.seed import seed_catalogue


@pytest.fixture
def cast(db):
    seed_catalogue()
    return make_cast()


@pytest.fixture
def agent(cast):
    return make_agent(cast.organisation)
