"""What a page's reader may do, for templates: `{% if "execute" in principal|verbs_in:deployment %}`."""

from django import template

from access.models import TeamOwned
from access.principal import Principal, Verb

register = template.Library()


@register.filter
def verbs_in(principal: Principal, owned: TeamOwned | str) -> frozenset[Verb]:
    """The reader's rights in the team of this row; none where a template has no row."""
    return principal.verbs_in(owned.team_id) if isinstance(owned, TeamOwned) else frozenset()


@register.filter
def may(principal: Principal, verb: Verb) -> bool:
    """Whether the reader has this right in any team: whether to offer to make something new."""
    return principal.may(verb)
