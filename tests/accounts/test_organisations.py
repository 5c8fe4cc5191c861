import pytest

from accounts.addresses import person_key_of
from accounts.exceptions import NotAllowed, OwnerNeeded
from accounts.models import Membership, Organisation, Role, User
from accounts.organisations import (
    change_role,
    create_organisation,
    delete_account,
    membership_of,
    name_from,
    organisation_of,
    remove_member,
    resume_organisation,
    suspend_organisation,
)
from accounts.signals import organisation_suspended, person_verified
from tests.factories import add_member, balance_micro, make_organisation, make_user

pytestmark = pytest.mark.django_db


def membership(user, organisation):
    return Membership.objects.get(user=user, organisation=organisation)


@pytest.fixture
def heard():
    """What our signals said, in order."""
    said = []

    def listen(signal, sender, **what):
        said.append((signal, what))

    for signal in (person_verified, organisation_suspended):
        signal.connect(listen)
    yield said
    for signal in (person_verified, organisation_suspended):
        signal.disconnect(listen)


def test_a_new_organisation_has_its_maker_as_owner_and_a_wallet():
    alice = make_user()
    made = create_organisation("Rosewood", alice)
    assert organisation_of(alice) == made
    assert membership(alice, made).role == Role.OWNER
    assert balance_micro(made.pk) == 1000 * 1_000_000


def test_an_unverified_maker_brings_no_credits():
    made = create_organisation("Rosewood", make_user(verified=False))
    assert balance_micro(made.pk) == 0


def test_the_person_is_announced_by_a_key_that_is_no_address(heard):
    alice = make_user("Alice+shop@example.com")
    made = create_organisation("Rosewood", alice)
    ((_, what),) = heard
    assert what == {"organisation_id": made.pk, "person_key": person_key_of("alice@example.com")}


@pytest.mark.parametrize(
    ("email", "name"),
    [("maria.silva@x.com", "Maria Silva"), ("info+a@x.com", "Info"), ("+@x.com", "My organisation")],
)
def test_an_organisation_without_a_name_gets_one_from_the_address(email, name):
    assert name_from(email) == name


def test_the_chosen_organisation_is_acted_for_and_a_strangers_is_not(cast):
    second = make_organisation("Second", cast.alice)
    assert membership_of(cast.alice).organisation == cast.organisation
    assert membership_of(cast.alice, chosen=str(second.pk)).organisation == second
    assert membership_of(cast.alice, chosen=str(cast.other_organisation.pk)).organisation == cast.organisation


def test_suspending_tells_the_apps_above_and_keeps_the_reason(cast, heard):
    suspend_organisation(cast.organisation, "Unpaid", cast.alice)
    cast.organisation.refresh_from_db()
    assert not cast.organisation.is_active and cast.organisation.suspended_reason == "Unpaid"
    assert heard == [(organisation_suspended, {"organisation_id": cast.organisation.pk})]


def test_resuming_clears_the_suspension(cast):
    suspend_organisation(cast.organisation, "Unpaid", None)
    resume_organisation(cast.organisation, "Paid", None)
    cast.organisation.refresh_from_db()
    assert cast.organisation.is_active and cast.organisation.suspended_reason == ""


def test_an_owner_may_change_a_role(cast):
    change_role(membership(cast.bob, cast.organisation), Role.ADMIN, by=membership(cast.alice, cast.organisation))
    assert membership(cast.bob, cast.organisation).role == Role.ADMIN


def test_a_member_may_not_change_a_role(cast):
    with pytest.raises(NotAllowed):
        change_role(membership(cast.bob, cast.organisation), Role.ADMIN, by=membership(cast.bob, cast.organisation))


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER])
def test_an_admin_neither_makes_nor_unmakes_an_owner(cast, role):
    carol = add_member(cast.organisation, make_user(), Role.ADMIN)
    target = membership(cast.bob if role == Role.OWNER else cast.alice, cast.organisation)
    with pytest.raises(NotAllowed):
        change_role(target, role, by=carol)


def test_an_admin_does_not_remove_an_owner(cast):
    carol = add_member(cast.organisation, make_user(), Role.ADMIN)
    with pytest.raises(NotAllowed):
        remove_member(membership(cast.alice, cast.organisation), by=carol)


def test_an_owner_of_another_organisation_may_do_nothing_here(cast):
    mallory = membership(cast.mallory, cast.other_organisation)
    with pytest.raises(NotAllowed):
        remove_member(membership(cast.bob, cast.organisation), by=mallory)
    with pytest.raises(NotAllowed):
        change_role(membership(cast.bob, cast.organisation), Role.ADMIN, by=mallory)


def test_the_last_owner_can_neither_leave_nor_step_down(cast):
    alice = membership(cast.alice, cast.organisation)
    with pytest.raises(OwnerNeeded):
        remove_member(alice, by=alice)
    with pytest.raises(OwnerNeeded):
        change_role(alice, Role.MEMBER, by=alice)


def test_one_of_two_owners_may_leave(cast):
    alice = membership(cast.alice, cast.organisation)
    change_role(membership(cast.bob, cast.organisation), Role.OWNER, by=alice)
    remove_member(alice, by=alice)
    assert not Membership.objects.filter(user=cast.alice).exists()


def test_a_member_may_leave(cast):
    bob = membership(cast.bob, cast.organisation)
    remove_member(bob, by=bob)
    assert organisation_of(cast.bob) is None


def test_deleting_the_only_member_closes_the_organisation_and_keeps_its_books(cast):
    delete_account(cast.mallory)
    left = Organisation.objects.get(pk=cast.other_organisation.pk)
    assert not left.is_active and left.name == "Closed organisation"
    assert balance_micro(left.pk) == 1000 * 1_000_000
    assert not User.objects.filter(email="mallory@example.com").exists()


def test_an_owner_with_members_must_hand_over_first(cast):
    with pytest.raises(OwnerNeeded):
        delete_account(cast.alice)
    assert User.objects.filter(pk=cast.alice.pk).exists()


def test_a_deleted_and_returned_person_gets_no_second_grant():
    alice = make_user("alice@gmail.com")
    create_organisation("First", alice)
    delete_account(alice)
    second = create_organisation("Second", make_user("a.lice+again@googlemail.com"))
    assert balance_micro(second.pk) == 0
