"""The team of something new, as requests name it and problems say what is wrong with that."""

from django.core import exceptions
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from access.permissions import caller_of
from access.principal import ALL, Verbs
from access.team_choice import NoTeam, TeamNeeded, UnknownTeam, choose_team
from rest.problems import ApiProblem, FieldError, invalid

TEAM_HELP = (
    "The name of the team that it belongs to. Left out, it is the only one in which you may do this, or `default` where"
    " that is one of several."
)
TEAM_PARAMETER = OpenApiParameter("team", str, description=TEAM_HELP)


def team_for(request: Request, verbs: Verbs, *, named: str | None, pointer: str) -> int:
    """The team that what the caller makes belongs to. A key for some deployments makes nothing of its team's."""
    if caller_of(request).deployment_ids is not ALL:
        raise PermissionDenied("Your key is for some deployments only. Use one for the whole team.")
    try:
        return choose_team(caller_of(request), verbs, named=named)
    except UnknownTeam as refused:
        raise invalid([FieldError(pointer, "unknown_team", str(refused))]) from None
    except TeamNeeded as refused:
        raise invalid([FieldError(pointer, "team_needed", str(refused))]) from None
    except NoTeam as refused:
        raise ApiProblem(409, "no-team", str(refused)) from None
    except exceptions.PermissionDenied as refused:
        raise PermissionDenied(str(refused)) from None
