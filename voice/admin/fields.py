"""Form fields that show stored values the way an operator thinks of them: credits, moments, and lists one a line."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from billing.formatting import credits_of, micro_of

_MOST_LINES = 50
_LONGEST_LINE = 200


class CreditsField(forms.DecimalField):
    """Millionths of something (a credit, a dollar) stored as an integer, edited as an exact decimal; never negative."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_digits": 18, "decimal_places": 6, **options})

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        text = f"{credits_of(value):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else micro_of(amount)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class LinesField(forms.CharField):
    """A list of texts, stored as JSON, edited one a line."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField lines"})
        super().__init__(**{"widget": widget, "required": False, **options})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(line) for line in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        if len(lines) > _MOST_LINES or any(len(line) > _LONGEST_LINE for line in lines):
            raise ValidationError(f"At most {_MOST_LINES} lines of {_LONGEST_LINE} characters.")
        return list(dict.fromkeys(lines))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class MomentField(forms.DateTimeField):
    """A date and time in one field of the browser's own, which has a name for screen readers and needs no script."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})
        super().__init__(**{"widget": widget, "required": False, **options})
