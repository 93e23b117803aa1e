"""Who may do what: sessions become Principals, and verbs decide."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404
from django.test import Client
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from access.authentication import SessionPrincipalAuthentication
from access.models import Team
from access.permissions import HasVerb
from access.principal import ALL, ALL_VERBS, Principal, Verb
from access.principal_of import PERMISSION_OF, principal_of
from access.team_choice import NoTeam, TeamNeeded, UnknownTeam, choose_team

pytestmark = pytest.mark.django_db


def make_user(name: str = "alice", *, teams: tuple[Any, ...] = (), verbs: tuple[Verb, ...] = ()) -> User:
    user = User.objects.create_user(name)
    user.groups.set(teams)
    for verb in verbs:
        user.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[verb].removeprefix("access.")))
    return User.objects.get(pk=user.pk)


def give(team: Any, *verbs: Verb) -> Any:
    """The team, whose members have these rights now."""
    for verb in verbs:
        team.permissions.add(Permission.objects.get(codename=PERMISSION_OF[verb].removeprefix("access.")))
    return team


def test_a_superuser_may_do_all_in_every_team() -> None:
    principal = principal_of(User.objects.create_superuser("root"))
    assert (principal.rights, principal.team_ids, principal.teams_with("view")) == (ALL, ALL, ALL)
    assert principal.verbs_in(Team.default().pk) == ALL_VERBS
    assert principal.label == "user:root"


def test_who_is_in_no_team_may_nothing_whatever_their_permissions() -> None:
    user = make_user(verbs=("view", "execute", "change", "deploy", "manage_keys"))
    principal = principal_of(user)
    assert principal.rights == {}
    assert principal.team_ids == frozenset()
    assert not principal.may(*ALL_VERBS)


@pytest.mark.parametrize("verb", sorted(ALL_VERBS))
def test_each_permission_gives_its_verb_and_no_other(verb: Verb) -> None:
    principal = principal_of(make_user(teams=(Team.default(),), verbs=(verb,)))
    assert principal.rights == {Team.default().pk: frozenset({verb})}


def test_a_team_gives_its_permissions_to_its_members_within_it() -> None:
    """Rights of one team are none in another."""
    sales, legal = give(Team.objects.create(name="sales"), "view", "change"), Team.objects.create(name="legal")
    principal = principal_of(make_user(teams=(sales, give(legal, "execute"))))
    assert principal.rights == {sales.pk: frozenset({"view", "change"}), legal.pk: frozenset({"execute"})}
    assert principal.team_ids == frozenset({sales.pk, legal.pk})
    assert principal.may("change")
    assert not principal.may_in(legal.pk, "change", "view")
    assert principal.teams_with("view") == frozenset({sales.pk})
    assert principal.teams_with("execute", "change") == frozenset({sales.pk, legal.pk})


def test_what_somebody_was_given_themselves_counts_in_all_of_their_teams() -> None:
    sales, legal = give(Team.objects.create(name="sales"), "view"), Team.objects.create(name="legal")
    principal = principal_of(make_user(teams=(sales, legal), verbs=("deploy",)))
    assert principal.rights == {sales.pk: frozenset({"view", "deploy"}), legal.pk: frozenset({"deploy"})}


def test_an_inactive_superuser_may_nothing() -> None:
    user = User.objects.create_superuser("root", is_active=False)
    assert principal_of(user).rights == {}


def test_an_inactive_member_may_nothing() -> None:
    user = make_user(teams=(give(Team.objects.create(name="sales"), "view"),), verbs=("change",))
    assert principal_of(user).may("view", "change")
    user.is_active = False
    assert principal_of(user).rights == {}


class TestTeamOfSomethingNew:
    """It goes where its maker may make it, and never to a team that was guessed."""

    def test_the_only_team_with_the_right_is_meant(self) -> None:
        sales = give(Team.objects.create(name="sales"), "change")
        maker = principal_of(make_user(teams=(Team.default(), sales)))
        assert choose_team(maker, ("change",)) == sales.pk

    def test_of_several_the_default_team_is_meant_and_without_it_none(self) -> None:
        sales, legal = (give(Team.objects.create(name=name), "change") for name in ("sales", "legal"))
        both = principal_of(make_user(teams=(sales, legal)))
        with pytest.raises(TeamNeeded, match="legal, sales"):
            choose_team(both, ("change",))
        give(Team.default(), "change")
        assert choose_team(principal_of(make_user("bob", teams=(sales, legal, Team.default()))), ("change",)) == (
            Team.default().pk
        )
        assert choose_team(principal_of(User.objects.create_superuser("root")), ("change",)) == Team.default().pk

    def test_a_team_is_named_and_the_right_is_asked_there(self) -> None:
        sales, legal = give(Team.objects.create(name="sales"), "change"), Team.objects.create(name="legal")
        maker = principal_of(make_user(teams=(sales, legal)))
        assert choose_team(maker, ("change",), named="sales") == sales.pk
        with pytest.raises(PermissionDenied, match="legal"):
            choose_team(maker, ("change",), named="legal")
        Team.objects.create(name="other")
        for name in ("other", "missing", "", "\0"):
            with pytest.raises(UnknownTeam):
                choose_team(maker, ("change",), named=name)

    def test_without_a_team_there_is_none(self) -> None:
        with pytest.raises(NoTeam):
            choose_team(principal_of(make_user(verbs=("change",))), ("change",))


class Guarded(APIView):
    authentication_classes = [SessionPrincipalAuthentication]
    permission_classes = [HasVerb]
    required_verbs: dict[str, tuple[Verb, ...]] = {"GET": ("view", "execute"), "POST": ("change",)}

    def get(self, request: Request) -> Response:
        return Response({"label": request.auth.label})  # type: ignore[union-attr] # a Principal

    post = get


def ask(user: Any, method: str = "get", view: type[APIView] = Guarded, *, csrf: bool = False, **headers: str) -> Any:
    request = getattr(APIRequestFactory(enforce_csrf_checks=csrf), method)("/", headers=headers)
    request.user = user
    return view.as_view()(request)


def test_who_is_not_signed_in_is_a_401_with_a_challenge() -> None:
    answer = ask(AnonymousUser())
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_any_of_the_verbs_suffices() -> None:
    for name, verb in (("a", "view"), ("b", "execute")):
        answer = ask(make_user(name, teams=(Team.default(),), verbs=(verb,)))  # type: ignore[arg-type] # verbs they are
        assert answer.data == {"label": f"user:{name}"}


def test_another_verb_does_not() -> None:
    assert ask(make_user(teams=(Team.default(),), verbs=("change",))).status_code == 403
    assert ask(make_user("bob", teams=(Team.default(),), verbs=("view",)), "post").status_code == 403


def test_a_method_that_a_view_lacks_is_a_405() -> None:
    assert ask(make_user(teams=(Team.default(),)), "delete").status_code == 405


def test_a_session_keeps_its_csrf_check() -> None:
    root = User.objects.create_superuser("root")
    assert ask(root, "post", csrf=True).status_code == 403
    assert ask(root, "post").status_code == 200


def test_a_bearer_key_is_never_mixed_with_a_session() -> None:
    assert ask(User.objects.create_superuser("root"), authorization="Bearer abc").status_code == 401


def test_a_view_that_names_no_verbs_fails_loudly() -> None:
    class Forgotten(Guarded):
        required_verbs: dict[str, tuple[Verb, ...]] = {}

    with pytest.raises(ImproperlyConfigured, match="required_verbs"):
        ask(User.objects.create_superuser("root"), view=Forgotten)


def test_what_the_caller_may_not_see_is_a_404_before_it_is_a_403() -> None:
    class Hidden(Guarded):
        def require_visible(self) -> None:
            raise Http404

    assert ask(make_user(teams=(Team.default(),)), view=Hidden).status_code == 404


def test_a_principal_without_verbs_is_refused_by_the_permission_itself() -> None:
    request = Request(APIRequestFactory().get("/"))
    request.auth = Principal({}, ALL, "user:x")
    assert HasVerb().has_permission(request, Guarded()) is False


def test_the_lists_of_users_and_teams_take_a_constant_number_of_queries(
    django_assert_max_num_queries: Any,
) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    for number in range(30):
        team = Team.objects.create(name=f"team {number}")
        team.permissions.add(Permission.objects.get(codename="view_objects"))
        make_user(f"user{number}", teams=(team, Team.default()))
    for address in ("/admin/access/team/", "/admin/auth/user/"):
        with django_assert_max_num_queries(12):
            page = browser.get(address)
        assert page.status_code == 200
    assert b"view_objects" in browser.get("/admin/access/team/").content
