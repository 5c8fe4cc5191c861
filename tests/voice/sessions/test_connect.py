"""Which address serves a model, and dialling it again where that may help."""

import pytest

from tests import factories
from tests.fakes.scripted_upstream import ScriptedUpstream
from voice.models import CatalogueModel
from voice.sessions.connect import connect, endpoint_of
from voice.upstream import registry
from voice.upstream.base import Capabilities, Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused

CAPABILITIES = Capabilities(True, False, False, True, 32_000, 4_096)
ENDPOINT = Endpoint("openai", "gpt-realtime-mini", "ws://127.0.0.1:1/", "", CAPABILITIES)
BUSY = UpstreamRefused("upstream_unavailable", retryable=True)
WRONG_KEY = UpstreamRefused("upstream_unauthorized", retryable=False)


@pytest.fixture
def answers(monkeypatch):
    """What dialling comes to, one after the other; returns how often was dialled."""

    def arrange(*outcomes):
        dialled = []

        async def dial(endpoint, *, timeout_s):
            outcome = outcomes[len(dialled)]
            dialled.append(endpoint)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(registry, "dial", dial)
        return dialled

    return arrange


@pytest.fixture
def endpoint(catalogue, organisation, settings):
    """Where a model is dialled for a session of an agent."""
    settings.OPENAI_API_KEY = "sk-test"

    def make(slug="gpt-realtime-mini", visitor_id="", **fields):
        agent = factories.make_agent(organisation, **fields)
        session = factories.make_session(agent, visitor_id=visitor_id)
        return endpoint_of(CatalogueModel.objects.get(slug=slug), agent, session)

    return make


async def test_the_first_answer_is_taken(answers):
    upstream = ScriptedUpstream()
    dialled = answers(upstream)
    assert await connect(ENDPOINT) is upstream
    assert dialled == [ENDPOINT]


@pytest.mark.parametrize("trouble", [BUSY, UpstreamDropped("upstream_unreachable", retryable=True)])
async def test_trouble_that_may_pass_is_tried_once_more(answers, trouble):
    upstream = ScriptedUpstream()
    dialled = answers(trouble, upstream)
    assert await connect(ENDPOINT) is upstream
    assert len(dialled) == 2


async def test_a_wrong_key_is_not_tried_again(answers):
    dialled = answers(WRONG_KEY)
    with pytest.raises(UpstreamError) as raised:
        await connect(ENDPOINT)
    assert (raised.value, len(dialled)) == (WRONG_KEY, 1)


async def test_after_two_failures_the_caller_is_told(answers):
    dialled = answers(BUSY, BUSY)
    with pytest.raises(UpstreamRefused):
        await connect(ENDPOINT)
    assert len(dialled) == 2


def test_openai_is_dialled_with_its_key(endpoint, settings):
    made = endpoint()
    assert (made.adapter, made.model) == ("openai", "gpt-realtime-mini")
    assert (made.base_url, made.api_key) == (settings.OPENAI_REALTIME_URL, "sk-test")
    assert "sk-test" not in repr(made)


def test_the_embedded_models_are_dialled_without_one(endpoint, settings):
    made = endpoint("parley-embedded")
    assert (made.adapter, made.base_url, made.api_key) == ("pipeline", settings.LOCAL_MODELS_URL, "")
    assert all([made.chat_model, made.speech_to_text_model, made.text_to_speech_model, made.voice])


def test_a_voice_the_model_has_is_used(endpoint):
    assert endpoint(voice="cedar").voice == "cedar"


def test_a_voice_the_model_does_not_have_is_replaced(endpoint):
    """It would refuse the whole session."""
    assert endpoint(voice="nova").voice == "alloy"


def test_the_provider_can_tell_one_visitor_from_another_and_not_who_they_are(endpoint):
    first, again, other = endpoint(visitor_id="v1"), endpoint(visitor_id="v1"), endpoint(visitor_id="v2")
    assert first.safety_identifier == again.safety_identifier != other.safety_identifier
    assert "v1" not in first.safety_identifier
    assert len(first.safety_identifier) == 64


def test_a_session_without_a_visitor_has_an_identifier_of_its_own(endpoint):
    assert endpoint().safety_identifier != endpoint().safety_identifier
