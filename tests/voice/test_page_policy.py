"""What a customer's page lacks is found as a browser would find it."""

import pytest

from voice.page_policy import FetchedPage, allows, check_page

HOST = "https://voice.example.com"
TAG = f'<script src="{HOST}/embed.js" data-agent="pk_one" async></script>'


def findings(url="https://shop.example.com/", headers=None, html=TAG, listed=frozenset({"https://shop.example.com"})):
    page = FetchedPage(url, headers or {}, html)
    return check_page(page, host=HOST, public_key="pk_one", listed=listed)


def missing(**page):
    return [finding.remedy for finding in findings(**page) if not finding.ok]


def test_a_page_without_policies_needs_only_the_tag_and_its_place_on_the_list():
    assert missing() == []


def test_a_page_on_http_is_told_that_it_gets_no_microphone():
    (remedy,) = missing(url="http://shop.example.com/", listed=frozenset({"http://shop.example.com"}))
    assert "https" in remedy


def test_a_site_that_is_not_listed_is_told_its_own_origin():
    (remedy,) = missing(url="https://Shop.example.com:8443/page", listed=frozenset())
    assert "https://shop.example.com:8443" in remedy


def test_a_tag_of_another_agent_is_not_taken_for_this_ones():
    (remedy,) = missing(html=TAG.replace("pk_one", "pk_two"))
    assert remedy == "Another agent's key is in the script tag."


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'self'",
        "script-src 'self'",
        "script-src-elem 'self'; script-src https://voice.example.com",
        "script-src 'none'; script-src *",
        "script-src https://voice.example.com:444",
        "script-src *.voice.example.com",
        "script-src https://voice.example.com, script-src 'self'",
    ],
)
def test_a_policy_that_keeps_the_script_out_is_found(policy):
    assert not allows(policy, "script-src", HOST)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "img-src 'none'",
        "script-src https://voice.example.com",
        "script-src voice.example.com",
        "SCRIPT-SRC https://voice.example.com/",
        "default-src https:",
        "script-src *.example.com",
        "script-src 'self' http://voice.example.com",
        "default-src 'none'; script-src *",
    ],
)
def test_a_policy_that_lets_the_script_in_is_not_complained_of(policy):
    assert allows(policy, "script-src", HOST)


def test_frames_fall_back_to_child_src_then_to_default_src():
    assert not allows(f"default-src {HOST}; child-src 'none'", "frame-src", HOST)
    assert allows(f"default-src 'none'; frame-src {HOST}", "frame-src", HOST)


def test_a_policy_in_a_meta_tag_counts_too():
    meta = '<meta http-equiv="Content-Security-Policy" content="frame-src \'none\'">'
    (remedy,) = missing(html=meta + TAG)
    assert remedy == f"Add {HOST} to frame-src."


@pytest.mark.parametrize("header", ["microphone=()", "camera=*, microphone=(self)"])
def test_a_permissions_policy_that_keeps_the_microphone_is_found(header):
    (remedy,) = missing(headers={"permissions-policy": header})
    assert "microphone=(self" in remedy


@pytest.mark.parametrize("header", ["", "camera=()", f'microphone=(self "{HOST}")', "microphone=*"])
def test_a_permissions_policy_that_hands_it_on_is_not(header):
    assert missing(headers={"permissions-policy": header}) == []


def test_broken_html_is_read_as_far_as_it_goes():
    assert missing(html=f"<p <b>{TAG}<script src") == []
