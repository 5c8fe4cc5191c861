"""Where the gateway still looks for rating tokens; they are made in voice/admission/rating_token.py."""

from voice.admission.rating_token import rating_token

__all__ = ["rating_token"]
