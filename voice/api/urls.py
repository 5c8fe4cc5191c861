"""The REST addresses, below /v1/."""

from django.urls import path

from voice.api import captcha, pricing, sessions

app_name = "voice_api"

urlpatterns = [
    path("voice/sessions", sessions.start, name="sessions"),
    path("voice/sessions/<uuid:session_id>/rating", sessions.rate, name="rating"),
    path("captcha/challenge", captcha.challenge, name="captcha_challenge"),
    path("pricing/estimate", pricing.estimate, name="pricing_estimate"),
]
