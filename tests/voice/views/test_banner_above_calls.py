"""The banner above a call, and the page that stays open below it."""

import pytest

from voice.catalogue.seed import seed_catalogue
from voice.demo import seed_demo
from voice.models import CatalogueModel, ModelStatus
from voice.models.catalogue import ModelKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo():
    seed_catalogue()
    return seed_demo()[0]


def test_a_page_has_no_banner_while_all_is_well(client, demo):
    assert b"status-banner" not in client.get("/").content


def test_without_a_voice_model_it_is_a_voice_that_is_missing_and_no_credits(client, demo):
    CatalogueModel.objects.filter(kind=ModelKind.REALTIME).update(status=ModelStatus.MAINTENANCE)
    page = client.get("/")
    assert page.context["closed"] is None
    assert b"You can type instead" in page.content
