import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import override_settings
from django.urls import path

LAST = "config.errors.PlainErrorsMiddleware"


def broken(request):
    raise ZeroDivisionError("a secret detail")


def missing(request):
    raise Http404("a secret detail")


def forbidden(request):
    raise PermissionDenied


urlpatterns = [
    path("broken/", broken),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("fine/", lambda request: HttpResponse("fine")),
    path("console/", lambda request: HttpResponse(), name="landing"),
]


@pytest.fixture
def developing(settings, client):
    """A client of a development server, where Django would show tracebacks."""
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware", LAST]
    client.raise_request_exception = False
    with override_settings(DEBUG=True, ROOT_URLCONF=__name__):
        yield client


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/broken/", 500, b"That was our fault"),
        ("/missing/", 404, b"There is nothing here"),
        ("/nothing/here/", 404, b"There is nothing here"),
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


def test_what_works_is_left_alone(developing):
    assert developing.get("/fine/").content == b"fine"
