"""The project's addresses with billing's: what a test of the webhook posts to."""

from django.urls import include, path

urlpatterns = [path("billing/", include("billing.urls")), path("", include("config.urls"))]
