"""Billing's addresses, below /billing/."""

from django.urls import path

from billing.views.webhook import stripe_webhook

app_name = "billing"
urlpatterns = [
    path("stripe/webhook", stripe_webhook, name="stripe_webhook"),
]
