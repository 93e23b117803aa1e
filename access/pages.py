"""What all pages have in common: somebody is signed in, has a right, and sees what is theirs."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.auth.mixins import AccessMixin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.generic import TemplateView

from access.models import TeamQuerySet
from access.origin import note_caller
from access.principal import Principal, Verbs
from access.principal_of import principal_of


def is_part(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page. One that it restores from the browser's history is whole."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


class Page(AccessMixin, TemplateView):
    """A page, or a part of one that htmx asks for. Its queries start from `visible_to(self.principal)`; what it is
    about, `find` finds.

    Who is not signed in is sent to sign in; a part of a page answers 401 instead. Who lacks all of `verbs` gets a 403
    that names the right.
    """

    #: One of these is needed, of `access.rights.RIGHTS`: in the team of what the page is about, else in some team.
    verbs: ClassVar[Verbs]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self._send_to_sign_in(request)
        if not self.principal.may(*self.verbs):
            raise self._lacking()
        note_caller(self.principal)
        show: Callable[..., HttpResponseBase] = super().dispatch
        return show(request, *args, **kwargs)

    def find(self, rows: TeamQuerySet, **by: Any) -> Any:
        """The one of these rows that the page is about. Raises the 404, and where the right is lacking the 403."""
        found = get_object_or_404(rows.known_to(self.principal), **by)
        if not self.principal.may_in(found.team_id, *self.verbs):
            raise self._lacking()
        return found

    @cached_property
    def principal(self) -> Principal:
        user = self.request.user
        assert isinstance(user, User)  # noqa: S101 - whoever is signed in
        return principal_of(user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(principal=self.principal, **kwargs)

    def _lacking(self) -> PermissionDenied:
        return PermissionDenied(f"This page needs the right to {' or '.join(self.verbs)}.")

    def _send_to_sign_in(self, request: HttpRequest) -> HttpResponseBase:
        if not is_part(request):
            return self.handle_no_permission()
        # A part of a page cannot become the sign-in form: the answer says so, and what was typed stays where it is.
        answer = HttpResponse(f"You are no longer signed in. Sign in again at {reverse('sign-in')}.", status=401)
        answer["Content-Type"] = "text/plain; charset=utf-8"
        return answer
