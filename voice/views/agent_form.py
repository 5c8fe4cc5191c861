"""The form behind an agent: what people type, bounded and turned into what the model keeps."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from billing.ledger import MICRO
from voice.agents import COLLECTED_NAME, LONGEST_DESCRIPTION, MOST_COLLECTED, TAKEN_TASK_NAMES
from voice.catalogue.providers import offered_to
from voice.languages import LANGUAGES
from voice.models import Agent, CatalogueModel, ModelStatus, TranscriptPolicy
from voice.models.catalogue import ModelKind

MOST_ORIGINS = 20


class CollectsField(forms.CharField):
    """One field a line, "name: what it is", as [{"name", "description"}]."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(f"{each['name']}: {each['description']}" for each in value)
        return value

    def clean(self, value: Any) -> list[dict[str, str]]:
        lines = [line.strip() for line in str(super().clean(value)).splitlines() if line.strip()]
        if len(lines) > MOST_COLLECTED:
            raise ValidationError(f"At most {MOST_COLLECTED}: callers lose patience long before that.")
        fields = [_field_of(line) for line in lines]
        if len({field["name"] for field in fields}) < len(fields):
            raise ValidationError("Two of them have the same name.")
        return fields


class OriginsField(forms.CharField):
    """One site a line, as a list of origins: scheme and host, and a port where there is one."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        origins = [_origin_of(line.strip()) for line in str(super().clean(value)).splitlines() if line.strip()]
        if len(origins) > MOST_ORIGINS:
            raise ValidationError(f"At most {MOST_ORIGINS}.")
        return list(dict.fromkeys(origins))


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything a member may decide about an agent; `fields` are the model's, ready for voice.agents."""

    collects = CollectsField(
        label="What to find out",
        required=False,
        max_length=4000,
        help_text="One a line, in the order of asking, as “name: what it is”. For example “time: the day and time”.",
    )
    allowed_origins = OriginsField(
        label="Sites that may embed it",
        required=False,
        max_length=4000,
        help_text="One a line, such as https://www.example.com. Its page on this server always works.",
    )
    language = forms.ChoiceField(choices=LANGUAGES)
    voice = forms.ChoiceField()
    model_slug = forms.ChoiceField(label="Model")
    max_minutes = forms.IntegerField(
        label="Longest call, in minutes",
        min_value=1,
        max_value=60,
        help_text="A caller is told a minute before the end.",
    )
    silence_timeout_s = forms.IntegerField(
        label="Ask after silence, in seconds",
        min_value=5,
        max_value=120,
        help_text="Then “are you still there?”, and later the call ends.",
    )
    max_output_tokens = forms.IntegerField(
        label="Longest answer, in tokens", min_value=128, max_value=4096, help_text="20 tokens are a second of speech."
    )
    daily_ceiling_credits = forms.IntegerField(
        label="Public calls may cost, in credits a day",
        min_value=0,
        max_value=1_000_000,
        help_text="When it is reached, the agent takes no more public calls until tomorrow.",
    )

    class Meta:
        model = Agent
        fields = [
            "name",
            "greeting",
            "instructions",
            "task_name",
            "is_public",
            "shows_prices",
            "transcript_policy",
            "captions",
            "writes_down_for_fallback",
            "history",
        ]
        labels = {
            "greeting": "First sentence",
            "task_name": "Name of the task",
            "is_public": "Anyone may call it",
            "shows_prices": "Show callers what the call costs",
            "transcript_policy": "Keep conversations in writing",
            "captions": "Show callers in writing what is said",
            "writes_down_for_fallback": "Write speech down so that another model can go on",
            "history": "Remembers",
        }
        help_texts = {
            "greeting": "Said as soon as the call begins.",
            "instructions": "Who it is, what it does, and the facts it may tell. Lines such as “Opening hours: …” and "
            "“Q: … / A: …” are understood by every model, the embedded one included.",
            "task_name": "What it does once everything is confirmed, for example book_appointment.",
            "is_public": "On its own page and the sites below, after a CAPTCHA. Otherwise members only.",
            "shows_prices": "",
            "transcript_policy": "Ask: before the microphone, and only a yes keeps anything. Always: a notice is "
            "shown, and going on agrees to it; whether that is enough is for the law where "
            "your callers are. What the agent finds out is kept in any case, since it tells "
            "the caller that it passes that on.",
            "history": "Before each answer the model reads the conversation again, which is paid for: the longer a "
            "call, the dearer its minutes. With what was said lately (some minutes of talk), a long call "
            "costs about the same each minute, and the assistant forgets how it began.",
            "captions": "Helps whoever hears badly, or sits in a noisy place. Without it speech is not "
            "written down, and that is not charged, unless the conversation is kept.",
            "writes_down_for_fallback": "Should the model fail in the middle of a call, the one that goes on then "
            "knows what the caller has said. Nobody reads it and it is not kept; it costs what captions cost. Where "
            "captions are on, it is so in any case.",
        }
        widgets = {"instructions": forms.Textarea(attrs={"rows": 16, "maxlength": 8000})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["collects"].widget.attrs.update(rows=4)
        self.fields["allowed_origins"].widget.attrs.update(rows=3)
        # Whoever does not say keeps nothing.
        self.fields["transcript_policy"].required = False
        self._offer("model_slug", _models_on_offer(self.instance))
        self._offer("voice", [(voice, voice.capitalize()) for voice in _voices(self.instance)])
        self._take_from_instance()

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _take_from_instance(self) -> None:
        agent = self.instance
        for name in ("collects", "allowed_origins", "language", "voice", "silence_timeout_s", "max_output_tokens"):
            self.initial.setdefault(name, getattr(agent, name))
        self.initial.setdefault("model_slug", agent.model_slug)
        self.initial.setdefault("max_minutes", agent.max_duration_s // 60)
        self.initial.setdefault("daily_ceiling_credits", agent.daily_ceiling_micro // MICRO)

    def clean_transcript_policy(self) -> str:
        return str(self.cleaned_data["transcript_policy"] or TranscriptPolicy.NEVER)

    def clean_task_name(self) -> str:
        name = str(self.cleaned_data["task_name"]).replace("-", "_").lower()
        if name in TAKEN_TASK_NAMES:
            raise ValidationError("Every agent can do that already. Choose another name.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("collects") and not cleaned.get("task_name") and "task_name" not in self.errors:
            self.add_error("task_name", "Name the task that this information is for.")
        return cleaned

    @property
    def agent_fields(self) -> dict[str, Any]:
        """The validated fields by the model's own names and units."""
        fields = dict(self.cleaned_data)
        fields["max_duration_s"] = fields.pop("max_minutes") * 60
        fields["daily_ceiling_micro"] = fields.pop("daily_ceiling_credits") * MICRO
        return fields


def _field_of(line: str) -> dict[str, str]:
    name, _, description = (part.strip() for part in line.partition(":"))
    name = name.lower().replace(" ", "_").replace("-", "_")
    if not COLLECTED_NAME.fullmatch(name):
        raise ValidationError(f"“{line[:40]}” needs a short name of letters first, as in “time: the day and time”.")
    if len(description) > LONGEST_DESCRIPTION:
        raise ValidationError(f"The description of {name} is longer than {LONGEST_DESCRIPTION} characters.")
    return {"name": name, "description": description or name.replace("_", " ")}


def _origin_of(line: str) -> str:
    try:
        parts = urlsplit(line.lower())
        port = f":{parts.port}" if parts.port else ""
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        parts, port, host = urlsplit(""), "", ""
    is_local = host in {"localhost", "127.0.0.1"}
    if not host or parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise ValidationError(f"“{line[:60]}” is no site's address. Write it as https://www.example.com.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ValidationError(f"“{line[:60]}” must begin with https://: browsers give no microphone to other sites.")
    return f"{parts.scheme}://{host}{port}"


def _models_on_offer(agent: Agent) -> list[tuple[str, str]]:
    current = agent.model_slug
    is_shut_down = Q(status=ModelStatus.RETIRED) | Q(shutdown_on__lte=timezone.localdate())
    models = _models_for(agent).exclude(is_shut_down).order_by("name")
    choices = [(model.slug, model.name) for model in models]
    if current and current not in dict(choices):
        choices.append((current, f"{current} (no longer on offer)"))
    return choices


def _models_for(agent: Agent) -> QuerySet[CatalogueModel]:
    return offered_to(CatalogueModel.objects.filter(kind=ModelKind.REALTIME), agent.organisation_id)


def _voices(agent: Agent) -> list[str]:
    lists = _models_for(agent).values_list("voices", flat=True)
    voices = sorted({str(voice) for voices in lists for voice in voices})
    return voices or [str(Agent._meta.get_field("voice").default)]
