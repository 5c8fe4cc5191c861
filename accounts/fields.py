"""The CAPTCHA as a form field, whichever provider is in force."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts import captcha

# Where Google's script puts its answer; the name is Google's.
_GOOGLES_NAME = "g-recaptcha-response"

_SENTENCES = {
    captcha.CaptchaFailed: "The check did not succeed. Please try again.",
    captcha.CaptchaReused: "That check was already used. Please do it once more.",
    captcha.CaptchaUnavailable: "The check cannot be made right now. Please try again in a minute.",
}


class CaptchaWidget(forms.Widget):
    template_name = "accounts/_captcha.html"

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        context = {"name": name, "kind": settings.CAPTCHA, "site_key": settings.RECAPTCHA_PUBLIC_KEY}
        return render_to_string(self.template_name, context)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return data.get(_GOOGLES_NAME if settings.CAPTCHA == "recaptcha" else name)

    def id_for_label(self, id_: str | None) -> str:
        return ""


class CaptchaField(forms.CharField):
    """Holds the payload. It is used up by `check_captcha`, which a form calls last, when all else is right."""

    widget = CaptchaWidget

    def __init__(self) -> None:
        super().__init__(
            label="", max_length=captcha.LONGEST_PAYLOAD, error_messages={"required": "Please tick “I'm not a robot”."}
        )


def check_captcha(payload: str, remote_ip: str) -> None:
    """Use the payload up, or raise ValidationError with a sentence for the visitor."""
    try:
        captcha.verify(payload, remote_ip)
    except captcha.CaptchaError as error:
        raise ValidationError(_SENTENCES[type(error)], code=type(error).__name__) from error
