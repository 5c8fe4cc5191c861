"""The development checkout, under /dev/stripe/; a 404 anywhere but on a developer's own machine."""

from django.urls import path

from billing.development_checkout import api, pages

app_name = "development_checkout"

urlpatterns = [
    path("", pages.control, name="control"),
    path("v1/<path:path>", api.answer, name="api"),
    path("pay/<slug:identifier>/", pages.pay, name="pay"),
    path("authenticate/<slug:identifier>/", pages.authenticate, name="authenticate"),
    path("switches/", pages.set_switches, name="set_switches"),
    path("send-all-again/", pages.send_all_again, name="send_all_again"),
    path("act/<slug:action>/<slug:identifier>/", pages.act, name="act"),
]
