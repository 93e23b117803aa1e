"""Which verbs a request needs."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.models import TeamQuerySet
from access.origin import note_caller
from access.principal import Principal, Verbs


def caller_of(request: Request) -> Principal:
    """The Principal of a request that HasVerb has let through."""
    principal: object = request.auth
    if not isinstance(principal, Principal):
        raise NotAuthenticated
    return principal


def rows_of(view: Any, rows: TeamQuerySet) -> Any:
    """What a viewset shows: lists, what the right for them is there for; where one row is named, those of all the
    caller's teams, for its `get_object` asks for the right in the row's own team.
    """
    principal = caller_of(view.request)
    if view.detail:
        return rows.known_to(principal)
    return rows.visible_to(principal, *(_required_verbs(view.request, view) or ()))


class HasVerb(BasePermission):
    """The caller has one of the verbs that the view's `required_verbs` names, in the team of what it is done with.

    The view has that asked (`check_object_permissions`) of each row that it finds by what the request names.
    `required_verbs` maps an action (of a viewset) or a method (`"GET"`, of another view) to verbs, any of which
    suffices. A view without a row fails loudly. Where the caller lacks the verb, what they may not even see is still
    a 404 and not a 403: the view's `get_object` decides, or its `require_visible` if it has one.
    """

    message: str | None = None

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = request.auth
        if not isinstance(principal, Principal):
            return False
        note_caller(principal)
        verbs = _required_verbs(request, view)
        if verbs is None or principal.may(*verbs):
            return True
        self.message = _lacking(verbs)
        _raise_if_invisible(view)
        return False

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        verbs = _required_verbs(request, view)
        # What has no team of its own was found through what has one; the browsable API asks of that, too.
        if verbs is None or not hasattr(obj, "team_id") or caller_of(request).may_in(obj.team_id, *verbs):
            return True
        self.message = _lacking(verbs)
        return False


def _lacking(verbs: Verbs) -> str:
    named = " or ".join(verb.replace("_", " ") for verb in verbs)
    return (
        f"This needs the right to {named}, which your key or account lacks. Ask an administrator of your team for it."
    )


def _required_verbs(request: Request, view: Any) -> Verbs | None:
    """None where no right is needed: a method that the view does not have (405), or OPTIONS."""
    method = str(request.method)
    if method == "OPTIONS" or not hasattr(view, method.lower()):
        return None
    actions = getattr(view, "action_map", None)
    operation = actions.get(method.lower()) if actions else "GET" if method == "HEAD" else method
    try:
        return tuple(view.required_verbs[operation])
    except (AttributeError, KeyError):
        raise ImproperlyConfigured(
            f"{type(view).__name__}.required_verbs has no row for {operation!r}: name the verbs that it needs."
        ) from None


def _raise_if_invisible(view: Any) -> None:
    if hasattr(view, "require_visible"):
        view.require_visible()
    elif hasattr(view, "get_object") and (view.lookup_url_kwarg or view.lookup_field) in view.kwargs:
        view.get_object()
