"""The addresses of the REST API, its OpenAPI document and its pages; what is unknown below them is answered in JSON."""

from django.urls import URLPattern, path, re_path

from voice.api import docs
from voice.api.app import api
from voice.api.edge import at_the_edge, not_found

app_name = "voice_api"

# Ninja adds an address of its own for the root, which is the front page's.
_operations = [
    at_the_edge(pattern) for pattern in api.urls[0] if isinstance(pattern, URLPattern) and pattern.name != "api-root"
]

urlpatterns = [
    path("v1/openapi.json", docs.document, name="openapi"),
    path("docs/api/", docs.page, name="docs"),
    *_operations,
    re_path(r"^(?:v1|api)/", not_found),
]
