import pytest

from tests.factories import make_session
from voice.models import TranscriptAudit
from voice.transcripts import audit
from voice.transcripts.rules import Rules, change_rules, rules_of

PAGE = "/console/calls/settings/"


@pytest.fixture
def alice(client, cast):
    client.force_login(cast.alice)
    return cast.alice


def test_an_organisation_begins_with_ninety_days(client, alice, cast):
    assert 'value="90"' in client.get(PAGE).content.decode()
    assert rules_of(cast.organisation.pk) == Rules(90, False)


def test_an_admin_says_for_how_long_words_are_kept_and_what_is_blotted_out(client, alice, cast):
    assert client.post(PAGE, {"kept_days": "30", "redacts": "on"}).status_code == 302
    assert rules_of(cast.organisation.pk) == Rules(30, True)
    assert rules_of(cast.other_organisation.pk) == Rules()


@pytest.mark.parametrize("days", ["0", "3651", "-1", "", "forever"])
def test_words_are_kept_neither_for_ever_nor_for_no_time(client, alice, cast, days):
    assert client.post(PAGE, {"kept_days": days}).status_code == 422
    assert rules_of(cast.organisation.pk) == Rules()


def test_a_plain_member_does_not_decide(client, cast):
    client.force_login(cast.bob)
    assert client.get(PAGE).status_code == 403


def test_the_organisation_sees_who_looked(client, alice, cast, agent):
    audit.write(make_session(agent), TranscriptAudit.Action.LOOKED, cast.bob)
    change_rules(cast.organisation.pk, Rules(7))
    page = client.get(PAGE).content.decode()
    assert "Looked at" in page and "bob@example.com" in page and "Reception" in page
    client.force_login(cast.mallory)
    assert "bob@example.com" not in client.get(PAGE).content.decode()
