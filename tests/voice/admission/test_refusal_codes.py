"""The codes for which the call's page has words are exactly those that the server can send it."""

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from voice.admission.refusals import REFUSALS
from voice.api import errors, json_body
from voice.gateway import close_codes

FIXTURE = Path(__file__).parents[2] / "fixtures" / "refusals.json"


def codes_of_requests(module: ModuleType) -> Iterator[str]:
    """Yield the codes written out where a module makes an InvalidRequest or an error's answer."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Call(func=ast.Name("InvalidRequest"), keywords=keywords):
                yield from (keyword.value.value for keyword in keywords if keyword.arg == "code")
            case ast.Call(func=ast.Name("error_answer"), args=[_, ast.Constant(code), *_]):
                yield code


def codes_of_the_server() -> set[str]:
    closings = {closing.code for closing in close_codes._ALL}
    requests = {errors.InvalidRequest("").code, *codes_of_requests(errors), *codes_of_requests(json_body)}
    return {*REFUSALS, *closings, *requests}


def test_the_page_knows_exactly_what_the_server_sends():
    assert json.loads(FIXTURE.read_text()) == sorted(codes_of_the_server())


def test_codes_written_out_where_a_request_is_read_are_found():
    assert set(codes_of_requests(json_body)) == {"unsupported_media_type", "request_too_large"}
    assert set(codes_of_requests(errors)) == {"request_too_large", "internal_error"}
