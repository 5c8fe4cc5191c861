"""The operator's view of people and organisations. Suspending and resuming need a reason and end up in the history."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.models import Invitation, Membership, Organisation, User
from accounts.organisations import delete_account, is_needed, resume_organisation, suspend_organisation
from config.model_admin import ModelAdmin, TabularInline


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off"}))


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email",)


class MembershipInline(TabularInline[Membership, Any]):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "organisation"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    add_form = NewUserForm
    list_display = ["email", "name", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff", "date_joined"]
    search_fields = ["email", "name", "memberships__organisation__name"]
    ordering = ["-date_joined"]
    date_hierarchy = "date_joined"
    readonly_fields = ["date_joined", "last_login"]
    inlines = [MembershipInline]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("May", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("When", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["email", "usable_password", "password1", "password2"]})]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Somebody else must be made an owner first.
        return super().has_delete_permission(request, obj) and (obj is None or not is_needed(obj))

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        delete_account(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            delete_account(user)


class OrganisationState(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("suspended", "Suspended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Organisation]) -> QuerySet[Organisation]:
        if self.value() is None:
            return queryset
        return queryset.filter(suspended_at__isnull=self.value() == "active")


@admin.register(Organisation)
class OrganisationAdmin(ModelAdmin[Organisation]):
    list_display = ["name", "country", "members", "active", "suspended_reason", "created_at"]
    list_filter = [OrganisationState, "is_house", "country", "created_at"]
    search_fields = ["name", "id", "memberships__user__email"]
    date_hierarchy = "created_at"
    readonly_fields = ["id", "created_at", "suspended_at", "suspended_reason"]
    inlines = [MembershipInline]
    actions = ["suspend", "resume"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organisation]:
        organisations: QuerySet[Organisation] = super().get_queryset(request)
        return organisations.annotate(member_count=Count("memberships", distinct=True))

    def has_delete_permission(self, request: HttpRequest, obj: Organisation | None = None) -> bool:
        # Its books must stay; an organisation that should end is suspended.
        return False

    @admin.display(ordering="member_count")
    def members(self, organisation: Any) -> int:
        return int(organisation.member_count)

    @admin.display(boolean=True, ordering="suspended_at")
    def active(self, organisation: Organisation) -> bool:
        return organisation.is_active

    @admin.action(description="Suspend: end their calls and start none", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Organisation]) -> HttpResponse | None:
        return self._with_reason(request, queryset, "suspend", suspend_organisation)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Organisation]) -> HttpResponse | None:
        return self._with_reason(request, queryset, "resume", resume_organisation)

    def _with_reason(
        self, request: HttpRequest, queryset: QuerySet[Organisation], verb: str, rule: Any
    ) -> HttpResponse | None:
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": f"{verb.capitalize()} {queryset.count()} organisation(s)",
                "organisations": queryset,
                "form": form,
                "action": verb,
                "opts": self.model._meta,
            }
            return TemplateResponse(request, "admin/accounts/organisation/reason.html", context)
        for organisation in queryset:
            rule(organisation, form.cleaned_data["reason"], request.user)
            self._write_history(request, organisation, f"{verb.capitalize()}: {form.cleaned_data['reason']}")
        self.message_user(request, f"Done for {len(queryset)} organisation(s).", messages.SUCCESS)
        return None

    def _write_history(self, request: HttpRequest, organisation: Organisation, message: str) -> None:
        LogEntry.objects.create(
            user_id=int(request.user.pk or 0),
            content_type=get_content_type_for_model(organisation),
            object_id=str(organisation.pk),
            object_repr=str(organisation)[:200],
            action_flag=CHANGE,
            change_message=message,
        )


@admin.register(Membership)
class MembershipAdmin(ModelAdmin[Membership]):
    list_display = ["user", "organisation", "role", "created_at"]
    list_filter = ["role", "created_at"]
    list_select_related = ["user", "organisation"]
    search_fields = ["user__email", "organisation__name"]
    autocomplete_fields = ["user", "organisation"]
    date_hierarchy = "created_at"


@admin.register(Invitation)
class InvitationAdmin(ModelAdmin[Invitation]):
    """Read and withdraw only: making one needs the secret that goes out by mail."""

    list_display = ["email", "organisation", "role", "invited_by", "created_at", "expires_at", "accepted_at"]
    list_filter = ["role", "created_at"]
    list_select_related = ["organisation", "invited_by"]
    search_fields = ["email", "organisation__name"]
    date_hierarchy = "created_at"
    exclude = ["secret_hash"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False
