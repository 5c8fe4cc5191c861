import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path


def broken(request):
    raise ZeroDivisionError("a secret detail")


def missing(request):
    raise Http404("a secret detail")


def suspicious(request):
    raise SuspiciousOperation("a secret detail")


def forbidden(request):
    raise PermissionDenied


urlpatterns = [
    path("broken/", broken),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("suspicious/", suspicious),
    path("json/", lambda request: JsonResponse({"code": "agent_unknown"}, status=404)),
    path("fine/", lambda request: HttpResponse("fine")),
    path("console/", lambda request: HttpResponse(), name="landing"),
]


@pytest.fixture
def developing(settings, client):
    """A client of a development server, where Django would show tracebacks."""
    settings.MIDDLEWARE = ["config.errors.PlainErrorsMiddleware", "django.middleware.common.CommonMiddleware"]
    client.raise_request_exception = False
    with override_settings(DEBUG=True, ROOT_URLCONF=__name__):
        yield client


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/broken/", 500, b"That was our fault"),
        ("/missing/", 404, b"There is nothing here"),
        ("/nothing/here/", 404, b"There is nothing here"),
        ("/suspicious/", 400, b"made no sense"),
    ],
)
def test_a_browser_sees_a_plain_page_and_no_detail(developing, address, status, words):
    response = developing.get(address)
    assert response.status_code == status
    assert words in response.content
    assert b"secret detail" not in response.content and b"Traceback" not in response.content
    assert b"urlpatterns" not in response.content and b"ROOT_URLCONF" not in response.content


def test_what_is_forbidden_stays_forbidden(developing):
    assert developing.get("/forbidden/").status_code == 403


def test_a_forgotten_slash_is_still_added(developing):
    assert developing.get("/fine").url == "/fine/"


def test_a_form_sent_to_a_forgotten_slash_shows_no_traceback(developing):
    response = developing.post("/fine")
    assert response.status_code == 500 and b"That was our fault" in response.content


def test_an_answer_for_programs_is_left_alone(developing):
    assert developing.get("/json/").json() == {"code": "agent_unknown"}


def test_what_works_is_left_alone(developing):
    assert developing.get("/fine/").content == b"fine"
