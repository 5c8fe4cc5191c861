"""What tests of the voice app share."""

import pytest


@pytest.fixture
def catalogue(db):
    """The catalogue as a new installation has it."""
    from voice.catalogue.seed import seed_catalogue

    seed_catalogue()
