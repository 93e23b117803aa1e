"""Designs, versions and provider accounts in the admin. Drafts are edited in the designer, which checks them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from rest_framework.exceptions import ValidationError

from access.admin_rights import OwnTeamsFilter, TeamRowsAdmin
from access.audited_admin import AuditedAdmin
from access.read_only_admin import ReadOnlyAdmin
from designs.api.serializers import PricesField, moves_key
from designs.base_urls import problem_with_base_url
from designs.models import DesignVersion, OrchestrationDesign, ProviderAccount
from designs.providers import may_be_private, reserved_names
from rest.problems import field_errors


@admin.register(OrchestrationDesign)
class DesignAdmin(ReadOnlyAdmin):
    """Designs, the deleted ones too."""

    kind = "design"
    list_display = ["name", "team", "revision", "newest", "created_by", "updated_at", "is_live"]
    list_filter = [("team", OwnTeamsFilter), ("deleted_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["name", "description", "created_by"]
    date_hierarchy = "created_at"
    list_select_related = ["team"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrchestrationDesign]:
        rows: Any = super().get_queryset(request)
        designs: QuerySet[OrchestrationDesign] = rows.with_latest_version()
        return designs

    @admin.display(description="newest version", ordering="latest_version")
    def newest(self, design: OrchestrationDesign) -> str:
        number = design.latest_version  # type: ignore[attr-defined] # annotated above
        if number is None:
            return "none"
        address = reverse("admin:designs_designversion_changelist")
        return format_html('<a href="{}?design__id__exact={}">v{}</a>', address, design.pk, number)

    @admin.display(description="live", boolean=True, ordering="deleted_at")
    def is_live(self, design: OrchestrationDesign) -> bool:
        return design.deleted_at is None


@admin.register(DesignVersion)
class DesignVersionAdmin(ReadOnlyAdmin):
    """Versions. They never change."""

    kind = "design"
    team_path = "design__team"
    list_display = ["design", "number", "short_hash", "created_by", "created_at"]
    list_filter = [("design__team", OwnTeamsFilter), "created_at"]
    search_fields = ["design__name", "content_hash", "created_by"]
    date_hierarchy = "created_at"
    list_select_related = ["design"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DesignVersion]:
        versions = super().get_queryset(request)
        return versions.defer("document", "design__draft") if _is_list(request) else versions

    @admin.display(description="content")
    def short_hash(self, version: DesignVersion) -> str:
        return version.content_hash[:12]


class AccountUrlField(forms.URLField):
    """A base URL; without a scheme it is an https one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "assume_scheme": "https"})


class ProviderAccountForm(forms.ModelForm):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """The key can be written; what is stored is never shown. Left empty, the stored key stays."""

    new_api_key = forms.CharField(
        required=False,
        max_length=2_000,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text="Written and never shown again. Left empty, the key that is stored stays, if there is one.",
    )

    class Meta:
        model = ProviderAccount
        field_classes = {"base_url": AccountUrlField}
        fields = ["team", "name", "kind", "base_url", "new_api_key", "max_concurrent_calls", "prices"]

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.errors and self.data.get(self.add_prefix("new_api_key")):
            self.add_error("new_api_key", "Type the key again: it is not kept while something else is corrected.")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name != self.initial.get("name") and name in reserved_names():
            raise forms.ValidationError(f"The name {name} is the site's own. Choose another.")
        return name

    def clean_team(self) -> Any:
        team = self.cleaned_data["team"]
        if "team" in self.initial and team.pk != self.initial["team"]:
            raise forms.ValidationError("An account stays in its team. Add another one in that team.")
        return team

    def clean_base_url(self) -> str:
        url = str(self.cleaned_data["base_url"] or "")
        if url and (problem := problem_with_base_url(url, may_be_private=may_be_private)):
            raise forms.ValidationError(problem)
        return url

    def clean_prices(self) -> Any:
        try:
            return PricesField().run_validation(self.cleaned_data["prices"] or {})
        except ValidationError as refused:
            raise forms.ValidationError([error.message for error in field_errors(refused.detail)]) from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        # Locked, since the admin's own reading was not: another change may have come in between.
        stored = ProviderAccount.objects.without_keys().select_for_update().filter(pk=self.instance.pk).first()
        if stored is not None and not cleaned.get("new_api_key") and moves_key(stored, cleaned):
            raise forms.ValidationError("The account leads to another host now. Write its key again.")
        return cleaned

    def save(self, commit: bool = True) -> ProviderAccount:  # noqa: FBT001, FBT002 - Django's signature
        if self.cleaned_data["new_api_key"]:
            self.instance.api_key = self.cleaned_data["new_api_key"]
        account: ProviderAccount = super().save(commit)
        return account


@admin.register(ProviderAccount)
class ProviderAccountAdmin(AuditedAdmin, TeamRowsAdmin):
    """Accounts at model providers."""

    kind = "provider"
    form = ProviderAccountForm
    list_display = ["name", "team", "kind", "base_url", "key_is_stored", "max_concurrent_calls", "updated_at"]
    list_filter = ["kind", ("team", OwnTeamsFilter)]
    search_fields = ["name", "base_url"]
    list_select_related = ["team"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderAccount]:
        rows: Any = super().get_queryset(request)
        accounts: QuerySet[ProviderAccount] = rows.without_keys()
        return accounts

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        super().save_model(request, obj, form, change)
        if not change and not obj.api_key:
            self.message_user(request, f"{obj.name} has no key: its requests carry none.", messages.WARNING)

    @admin.display(description="key", boolean=True)
    def key_is_stored(self, account: ProviderAccount) -> bool:
        return bool(account.has_key)  # type: ignore[attr-defined] # annotated above


def _is_list(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and str(match.url_name).endswith("_changelist")
