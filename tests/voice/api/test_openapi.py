"""The OpenAPI document, and the API against it: no fault of ours, and no answer that it does not tell of."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.asgi import application
from tests.fakes.provider_server import Answer, completion
from voice.api.app import openapi_document

EXAMPLES = 8
MODELS = {
    "/v1/chat/completions": "gpt-4.1",
    "/v1/audio/speech": "gpt-4o-mini-tts",
    "/v1/audio/transcriptions": "gpt-4o-transcribe",
}


async def served(scope, receive, send):
    """The whole application, as its servers call it; what this one wants to know of its beginning it is told."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    await application(scope, receive, send)


def operations():
    for path, methods in openapi_document()["paths"].items():
        for method in methods:
            yield method.upper(), path


def test_the_document_is_one_that_tools_can_read(client):
    response = client.get("/v1/openapi.json")
    assert response.json() == json.loads(json.dumps(openapi_document()))
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response.json()["openapi"].startswith("3.")


def test_every_operation_has_a_name_a_summary_and_its_errors():
    seen = set()
    for method, path in operations():
        each = openapi_document()["paths"][path][method.lower()]
        assert each["operationId"] not in seen and each["summary"] and each["tags"]
        seen.add(each["operationId"])
        assert {"400", "429", "500", "503"} <= {str(code) for code in each["responses"]}


def test_every_mutation_takes_an_idempotency_key():
    for method, path in operations():
        names = {each["name"] for each in openapi_document()["paths"][path][method.lower()].get("parameters", [])}
        assert ("Idempotency-Key" in names) == (method != "GET"), path


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "path"), list(operations()), ids=lambda part: part)
def test_whatever_is_sent_is_answered_as_the_document_says(
    method, path, new_key, provider, agent, open_session, monkeypatch
):
    # Limits are told, and tested elsewhere; here they would hide what is behind them.
    monkeypatch.setattr("voice.api.callers.count_wrong_key", lambda client_ip: None)
    server = provider()
    key = new_key(requests_per_minute=100_000)
    live = open_session()
    operation = schemathesis.openapi.from_asgi("/v1/openapi.json", served)[path][method]
    ids = {"session_id": str(live.id), "model_id": "gpt-4.1"}
    fixed = {name: value for name, value in ids.items() if f"{{{name}}}" in path}
    cases = [operation.as_strategy(mode, path_parameters=fixed) for mode in GenerationMode]

    @seed(20261122)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=one_of(cases))
    def send(case):
        server.answers[:] = [_answer_for(path)]
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = MODELS[path]  # no chance finds one
        if isinstance(case.body, dict) and case.body.get("messages"):
            case.body["messages"] = [{"role": "user", "content": "Hello!"}]
        response = case.call(headers={"Authorization": f"Bearer {key}"})
        assert response.status_code < 500, response.text
        case.validate_response(
            response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
        )

    send()


def _answer_for(path):
    if path.endswith("transcriptions"):
        return Answer([json.dumps({"text": "Hello.", "usage": {"type": "duration", "seconds": 1}}).encode()])
    if path.endswith("speech"):
        return Answer([b"data: {}\n\n"], content_type="text/event-stream")
    return completion()
