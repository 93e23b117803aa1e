"""Links between the admin's pages, and JSON that can be read there. Everything is escaped."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

MAX_SHOWN_CHARACTERS = 100_000


def admin_link(target: Model, text: str | None = None) -> str:
    """A link to the row's own page; the text alone where the admin has no page for it."""
    shown = str(target) if text is None else text
    if type(target) not in admin.site._registry:  # noqa: SLF001 - the site has no public way to ask
        return shown
    meta = target._meta  # noqa: SLF001 - Django's documented API
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[target.pk])
    except NoReverseMatch:
        return shown
    return format_html('<a href="{}">{}</a>', url, shown)


def list_link(model: type[Model], text: str, **filters: Any) -> str:
    """A link to the list of a model's rows that pass these filters."""
    meta = model._meta  # noqa: SLF001 - Django's documented API
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def pretty_json(value: Any) -> str:
    """The value indented, and cut where nobody would read on."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if len(text) > MAX_SHOWN_CHARACTERS:
        left_out = len(text) - MAX_SHOWN_CHARACTERS
        text = f"{text[:MAX_SHOWN_CHARACTERS]}\n… {left_out} more characters; the API has them all."
    return format_html('<pre class="shown-text">{}</pre>', text)
