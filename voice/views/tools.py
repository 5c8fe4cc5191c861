"""The console's pages about an agent's tools: the customer's own servers it may ask during a call, and trying them."""

import json
import uuid
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import MemberRequest, admin_required
from voice.models import Agent, AgentTool
from voice.models.tool import LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS
from voice.outgoing import check_header
from voice.outgoing.errors import Refused
from voice.sessions.tools import BUILT_IN
from voice.tools.calling import try_tool
from voice.tools.keeping import MOST_TOOLS, TOOL_NAME, NameTaken, TooManyTools, add_tool, change_tool, spec_of
from voice.tools.schema import MOST_ARGUMENTS_BYTES, MOST_SCHEMA_BYTES, BadSchema, check_schema
from voice.views.by_hand import too_many_by_hand
from voice.views.webhooks import checked_url

_SECRET_CHARS_MAX = 2000
_EXAMPLE = {
    "type": "object",
    "properties": {"order_number": {"type": "string", "description": "As on the invoice, such as A-1017."}},
    "required": ["order_number"],
    "additionalProperties": False,
}


class SchemaField(forms.CharField):
    """A JSON schema as text, and as what it says."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def clean(self, value: Any) -> dict[str, Any]:
        try:
            schema = json.loads(super().clean(value))
            check_schema(schema)
        except BadSchema as error:
            raise ValidationError(error.sentence) from None
        except (ValueError, RecursionError):
            raise ValidationError("This is not JSON.") from None
        return dict(schema)


class ToolForm(forms.Form):
    """One tool. Its secret is typed in and never shown: left empty, the one that is kept stays."""

    name = forms.CharField(
        max_length=40, help_text="What the model calls it: small letters, digits and _, such as look_up_order."
    )
    description = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="When to use it, and what it answers. The model decides by this.",
    )
    parameters = SchemaField(
        label="Arguments, as a JSON schema",
        max_length=MOST_SCHEMA_BYTES,
        help_text="What the model has to find out before it can ask.",
    )
    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="The arguments are posted there as JSON; what it answers is told to the model.",
    )
    secret_header = forms.CharField(
        label="Header with a secret", max_length=100, required=False, help_text="For example Authorization."
    )
    secret = forms.CharField(
        label="Its value",
        max_length=_SECRET_CHARS_MAX,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="For example Bearer and a key. Kept encrypted, never shown again.",
    )
    timeout_ms = forms.IntegerField(
        label="Longest wait, in milliseconds",
        min_value=LEAST_TIMEOUT_MS,
        max_value=MOST_TIMEOUT_MS,
        initial=5000,
        help_text="Then the model is told that no answer came, and says so.",
    )
    filler = forms.CharField(
        label="Said while waiting",
        max_length=200,
        required=False,
        initial="One moment, I am looking that up.",
        help_text="Only if the answer takes longer than a second. Empty: silence.",
    )
    is_active = forms.BooleanField(label="Offer it in calls", required=False, initial=True)

    def __init__(self, *args: Any, agent: Agent, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._agent, self._has_secret = agent, has_secret
        if has_secret:
            self.fields["secret"].help_text = "One is kept. Leave this empty to go on with it."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not TOOL_NAME.fullmatch(name):
            raise ValidationError("Small letters, digits and _ only, beginning with a letter.")
        if name in BUILT_IN or name == self._agent.task_name:
            raise ValidationError("The agent has a tool of this name of its own.")
        return name

    def clean_url(self) -> str:
        return checked_url(self.cleaned_data["url"])

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        header, secret = fields.get("secret_header", ""), fields.get("secret", "")
        if header and not secret and not self._has_secret:
            self.add_error("secret", "This header needs a value.")
        if secret and not header:
            self.add_error("secret_header", "Which header is it for?")
        try:
            check_header(header or "X-Secret", secret)
        except Refused:
            self.add_error("secret_header", "This cannot be sent as a header.")
        return fields

    @property
    def tool_fields(self) -> dict[str, Any]:
        """The model's fields, ready for voice.tools.keeping; an empty secret keeps the one that is kept."""
        fields = dict(self.cleaned_data)
        if not fields["secret_header"]:
            return {**fields, "secret": ""}
        if not fields["secret"]:
            del fields["secret"]
        return fields


class TryForm(forms.Form):
    arguments = forms.CharField(
        max_length=MOST_ARGUMENTS_BYTES,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="JSON, as the model would write it.",
    )


@admin_required
@require_safe
def tools(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    agent = _agent_of(request, agent_id)
    return render(request, "voice/tools.html", {"agent": agent, "tools": AgentTool.objects.filter(agent=agent)})


@sensitive_post_parameters("secret")
@admin_required
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest, agent_id: UUID) -> HttpResponse:
    agent = _agent_of(request, agent_id)
    form = ToolForm(request.POST or None, agent=agent, initial={"parameters": _EXAMPLE})
    if request.method == "POST" and form.is_valid():
        try:
            made = add_tool(agent, form.tool_fields)
        except NameTaken:
            form.add_error("name", "Another tool of this agent has this name.")
        except TooManyTools:
            form.add_error(None, f"An agent may have {MOST_TOOLS} tools: with more, models choose badly.")
        else:
            messages.success(request, f"{made.name} is ready. Try it here before a caller does.")
            return redirect("console:try_tool", agent.pk, made.pk)
    return _form_page(request, form, agent, None)


@sensitive_post_parameters("secret")
@admin_required
@require_http_methods(["GET", "POST"])
def edit(request: MemberRequest, agent_id: UUID, tool_id: UUID) -> HttpResponse:
    tool = _tool_of(request, agent_id, tool_id)
    saved = {name: getattr(tool, name) for name in ToolForm.base_fields if name != "secret"}
    form = ToolForm(request.POST or None, agent=tool.agent, has_secret=bool(tool.secret), initial=saved)
    if request.method == "POST" and form.is_valid():
        try:
            change_tool(tool, form.tool_fields)
        except NameTaken:
            form.add_error("name", "Another tool of this agent has this name.")
        else:
            messages.success(request, "Saved. The next call uses it.")
            return redirect("console:tools", agent_id)
    return _form_page(request, form, tool.agent, _tool_of(request, agent_id, tool_id))


@admin_required
@require_http_methods(["GET", "POST"])
def attempt(request: MemberRequest, agent_id: UUID, tool_id: UUID) -> HttpResponse:
    """Ask the tool once, by hand, and show what the model would be told. Nothing of it is kept."""
    tool = _tool_of(request, agent_id, tool_id)
    form = TryForm(request.POST or None, initial={"arguments": _example_of(tool.parameters)})
    answered = None
    if request.method == "POST" and form.is_valid() and not too_many_by_hand(request):
        answered = try_tool(spec_of(tool), form.cleaned_data["arguments"], call_id=f"try_{uuid.uuid4().hex}")
    context = {
        "agent": tool.agent,
        "tool": tool,
        "form": form,
        "answered": answered,
        "output": json.dumps(json.loads(answered.output), indent=2, ensure_ascii=False) if answered else "",
    }
    response = render(request, "voice/tool_try.html", context, status=422 if form.errors else 200)
    response["Cache-Control"] = "no-store"
    return response


@admin_required
@require_POST
def delete(request: MemberRequest, agent_id: UUID, tool_id: UUID) -> HttpResponse:
    tool = _tool_of(request, agent_id, tool_id)
    tool.delete()
    messages.success(request, f"{tool.name} is deleted. Calls that are going on may still ask it.")
    return redirect("console:tools", agent_id)


def _form_page(request: MemberRequest, form: ToolForm, agent: Agent, tool: AgentTool | None) -> HttpResponse:
    context = {"form": form, "agent": agent, "tool": tool}
    return render(request, "voice/tool_form.html", context, status=422 if form.errors else 200)


_EXAMPLES: dict[str, Any] = {"string": "", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}


def _example_of(schema: dict[str, Any]) -> str:
    """Return arguments to fill in: every property, with something of its type."""
    properties = schema.get("properties", {})
    return json.dumps({name: _something_of(each) for name, each in properties.items()}, indent=2, ensure_ascii=False)


def _something_of(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return ""
    if schema.get("enum"):
        return schema["enum"][0]
    type = schema.get("type", "string")
    return _EXAMPLES.get(type[0] if isinstance(type, list) and type else str(type), "")


def _agent_of(request: MemberRequest, agent_id: UUID) -> Agent:
    return get_object_or_404(request.organisation.agents, pk=agent_id)


def _tool_of(request: MemberRequest, agent_id: UUID, tool_id: UUID) -> AgentTool:
    found = AgentTool.objects.select_related("agent").filter(agent__organisation=request.organisation)
    return get_object_or_404(found, agent_id=agent_id, pk=tool_id)
