"""Forms about people and organisations; what they accept is bounded here, what it means is decided elsewhere."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm
from allauth.core import context
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.functional import cached_property
from django_ratelimit.core import is_ratelimited

from accounts import invitations
from accounts.addresses import is_disposable
from accounts.client_ip import client_ip_of
from accounts.countries import COUNTRIES
from accounts.exceptions import InvitationRefused
from accounts.fields import CaptchaField, check_captcha
from accounts.models import Invitation, Membership, Organisation, Role, User
from accounts.organisations import create_organisation, name_from

# The session's key for the secret of an invitation that somebody opened before signing up.
INVITATION = "invitation_secret"


class SignUpForm(SignupForm):  # type: ignore[misc]
    """Makes a person and their organisation, or makes an invited person a member of somebody else's."""

    organisation = forms.CharField(
        label="Organisation",
        max_length=120,
        required=False,
        help_text="The name on your receipts. You can change it later.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    captcha = CaptchaField()
    field_order = ["email", "password1", "organisation", "captcha"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs.update(placeholder="", autocomplete="email")
        self.fields["password1"].widget.attrs["placeholder"] = ""
        self.fields["password1"].help_text = "At least 8 characters, and not a common one."
        if self.invitation is not None:
            del self.fields["organisation"]
            self.fields["email"].initial = self.invitation.email
            self.fields["email"].disabled = True

    @cached_property
    def invitation(self) -> Invitation | None:
        try:
            return invitations.open_invitation(context.request.session.get(INVITATION, ""))
        except InvitationRefused:
            return None

    def clean_email(self) -> str:
        email = str(super().clean_email())
        if is_disposable(email):
            raise ValidationError(
                "Please use an address that stays yours: this one is from a throw-away service.", code="disposable"
            )
        return email

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            # Last, and in this order: a form sent back for another reason has cost neither a CAPTCHA nor a try.
            check_captcha(cleaned["captcha"], client_ip_of(context.request))
            _count_sign_up(context.request)
        return dict(cleaned)

    def try_save(self, request: HttpRequest) -> Any:
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:
            # Two sign-ups with one address at the same moment: the second is told what any later one is told.
            self.account_already_exists = True
            return super().try_save(request)

    def signup(self, request: HttpRequest, user: User) -> None:
        if self.invitation is None:
            create_organisation(self.cleaned_data["organisation"] or name_from(user.email), user)
            return
        invitations.accept_at_sign_up(request.session.pop(INVITATION), user)
        get_adapter().stash_verified_email(request, user.email)


class OrganisationForm(forms.ModelForm):  # type: ignore[type-arg]
    country = forms.ChoiceField(
        choices=[("", "Not said"), *COUNTRIES], required=False, help_text="For the currency and tax on your receipts."
    )

    class Meta:
        model = Organisation
        fields = ["name", "country"]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["name"]
        labels = {"name": "Your name"}
        help_texts = {"name": "How other members see you. Leave it empty to be shown by your address."}


class InvitationForm(forms.Form):
    email = forms.EmailField(label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(initial=Role.MEMBER)

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = roles_given_by(by)


def roles_given_by(by: Membership) -> list[tuple[str, str]]:
    """Return the roles this member may hand out: only an owner makes owners."""
    return [(value, str(label)) for value, label in Role.choices if value != Role.OWNER or by.role == Role.OWNER]


def _count_sign_up(request: HttpRequest) -> None:
    if is_ratelimited(request, group="accounts.sign_up", key="ip", rate=settings.SIGN_UPS_PER_IP, increment=True):
        raise ValidationError("Too many sign-ups from your network. Please try again in an hour.", code="rate_limited")
