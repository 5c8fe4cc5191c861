"""Every page, at a telephone's and a desk's width, light and dark: nothing that axe finds, nothing that sticks out."""

import re

import pytest

from tests.browser.axe import violations_of
from tests.browser.test_newcomer import sign_up, verify_by_mail

VISITORS_PAGES = [
    "/",
    "/accounts/signup/",
    "/accounts/login/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-bad/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/nonsense/",
    "/accounts/inactive/",
    "/invitations/nonsense/",
    "/pricing/",
    "/status/",
    "/docs/api/",
    "/dev/mail/",
    "/dev/stripe/",
    "/nothing/here/",
]
MEMBERS_PAGES = [
    "/console/",
    "/console/agents/",
    "/console/agents/new/",
    "/console/agents/new/appointment/",
    "/console/agents/new/language_practice/",
    "/console/calls/",
    "/console/calls/?outcome=cut",
    "/console/calls/settings/",
    "/console/crm/",
    "/console/crm/new/hubspot/",
    "/console/crm/new/webhook/",
    "/console/webhooks/",
    "/console/webhooks/new/",
    "/console/code/",
    "/console/code/keys/new/",
    "/console/billing/",
    "/console/billing/ledger/",
    "/console/billing/purchases/",
    "/console/billing/settings/",
    "/console/members/",
    "/console/organisation/",
    "/console/account/",
    "/console/account/delete/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/logout/",
]
# A change of scheme reaches the page's styles with the next frames, not at once.
NEW_LOOK_IS_DRAWN = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
)
LOOKS = [("light", 1440), ("dark", 1440), ("light", 360), ("dark", 360)]


@pytest.fixture(scope="module")
def visitor(chromium, product):
    context = chromium.new_context(base_url=product.url)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def member(chromium, product):
    """A page of somebody who has signed up, made an agent, and opened its page."""
    context = chromium.new_context(base_url=product.url)
    page = context.new_page()
    sign_up(page, "every.page@example.com")
    verify_by_mail(page, "every.page@example.com")
    page.wait_for_url("**/console/")
    yield page
    context.close()


@pytest.mark.parametrize("path", VISITORS_PAGES)
def test_a_visitors_page_is_sound(visitor, path):
    visitor.goto(path)
    assert faults_of(visitor) == []


@pytest.mark.parametrize("path", MEMBERS_PAGES)
def test_a_members_page_is_sound(member, path):
    member.goto(path)
    assert faults_of(member) == []


def test_a_new_agents_pages_and_its_public_page_are_sound(member):
    member.goto("/console/agents/new/faq/")
    member.get_by_label("Anyone may call it").check()
    member.get_by_role("button", name="Make the agent").click()
    member.wait_for_url(re.compile(r"/console/agents/[0-9a-f-]{36}/"))
    assert faults_of(member) == []
    agent = member.url
    for path in ("embed/", "embed/check/?url=nonsense", "tools/", "tools/new/", "edit/"):
        member.goto(f"{agent}{path}")
        assert faults_of(member) == [], path
    member.goto(agent)
    member.get_by_role("link", name="Open", exact=True).click()
    member.wait_for_url("**/talk/**")
    assert faults_of(member) == []


def faults_of(page) -> list[str]:
    faults = []
    for scheme, width in LOOKS:
        # Without motion, or colours would be measured on their way from light to dark.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(NEW_LOOK_IS_DRAWN)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            faults.append(f"{width} px: something sticks out")
        for violation in violations_of(page):
            where = [node["html"][:200] for node in violation["nodes"]]
            faults.append(f"{scheme}, {width} px: {violation['id']}: {where}")
    return faults
