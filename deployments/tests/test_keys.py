"""API keys: shown once, stored as a hash, and allowed what their scopes and deployments say."""

import hashlib
import re
import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import Team
from access.principal import ALL, Principal
from deployments import key_use
from deployments.keys import VERBS_OF_SCOPE, KeyPrincipal, Scope, make_key, principal_of_key, revoke_key
from deployments.models import ApiKey, Deployment
from deployments.tests.builders import make_deployment

pytestmark = pytest.mark.django_db


def make(*scopes: Scope, deployments: list[Deployment] | None = None) -> tuple[ApiKey, str]:
    return make_key(name="crm", team_id=Team.default().pk, scopes=scopes or ("execute",), deployments=deployments)


def principal_of(plaintext: str) -> Principal:
    found = principal_of_key(plaintext)
    assert found is not None
    return found.principal


def test_a_key_has_256_bits_and_only_its_hash_is_stored() -> None:
    key, plaintext = make()
    assert re.fullmatch(r"ok_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", plaintext)
    row = ApiKey.objects.values().get(id=key.id)
    assert row["key_hash"] == hashlib.sha256(plaintext.encode()).hexdigest()
    secret = plaintext.split("_", 2)[2]
    assert not any(secret in str(value) for value in row.values())


def test_a_key_is_its_team_its_verbs_and_its_label() -> None:
    key, plaintext = make("execute", "read")
    assert principal_of(plaintext) == KeyPrincipal(
        rights={Team.default().pk: frozenset({"execute", "view"})},
        deployment_ids=ALL,
        label="key:crm",
        key_id=key.id,
    )


def test_scopes_give_exactly_their_verbs() -> None:
    assert {
        "read": {"view"},
        "execute": {"execute"},
        "manage": {"view", "change", "deploy", "manage_keys"},
    } == VERBS_OF_SCOPE
    _, plaintext = make("manage")
    assert not principal_of(plaintext).may("execute")


def test_a_key_for_some_deployments_is_for_those_alone() -> None:
    one, other = make_deployment("one"), make_deployment("other")
    _, plaintext = make("read", deployments=[one])
    principal = principal_of(plaintext)
    assert principal.deployment_ids == frozenset({one.id})
    assert list(Deployment.objects.visible_to(principal)) == [one]
    assert other not in Deployment.objects.visible_to(principal)


def test_a_key_whose_deployments_are_gone_opens_none_and_never_all() -> None:
    key, plaintext = make(deployments=[make_deployment("one")])
    key.deployments.clear()
    assert principal_of(plaintext).deployment_ids == frozenset()
    with pytest.raises(ValueError, match="no deployment"):
        make(deployments=[])


def test_scopes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="scopes"):
        make_key(name="x", team_id=1, scopes=())
    with pytest.raises(ValueError, match="scopes"):
        make_key(name="x", team_id=1, scopes=("root",))  # type: ignore[arg-type] # it is what is refused


def test_an_unknown_a_revoked_and_an_expired_key_are_all_none() -> None:
    revoked, revoked_text = make()
    revoke_key(key=revoked, by="user:root")
    _, expired_text = make_key(
        name="x", team_id=Team.default().pk, scopes=["read"], expires_at=timezone.now() - timedelta(seconds=1)
    )
    _, text = make()
    other_secret = text[:-4] + ("aaaa" if text[-4:] != "aaaa" else "bbbb")
    for wrong in (revoked_text, expired_text, other_secret, "", "ok_", "ok__", "ok_x_y", text + "x", "x" * 10_000):
        assert principal_of_key(wrong) is None
    assert principal_of_key(text) is not None


def test_revoking_twice_keeps_the_first_time() -> None:
    key, _ = make()
    revoke_key(key=key, by="user:root")
    first = key.revoked_at
    revoke_key(key=key, by="user:root")
    assert key.revoked_at == first


@pytest.mark.parametrize("scoped", [False, True])
def test_finding_a_key_is_one_query_and_one_more_for_its_deployments(scoped: bool) -> None:
    deployments = [make_deployment("one"), make_deployment("two")] if scoped else None
    _, plaintext = make(deployments=deployments)
    with CaptureQueriesContext(connections["default"]) as queries:
        principal_of_key(plaintext)
    assert len(queries) == (2 if scoped else 1)


@pytest.mark.django_db(transaction=True)
def test_the_last_use_is_written_at_most_once_a_minute() -> None:
    key, _ = make()
    now = timezone.now()
    key_use.note_use(key.id, at=now, last_used_at=None)
    _written()
    assert _last_used(key) == now
    key_use.note_use(key.id, at=now + timedelta(seconds=59), last_used_at=now)
    key_use.note_use(key.id, at=now + timedelta(seconds=59), last_used_at=None)  # another process saw the old row
    _written()
    assert _last_used(key) == now
    key_use.note_use(key.id, at=now + timedelta(seconds=61), last_used_at=now)
    _written()
    assert _last_used(key) == now + timedelta(seconds=61)


def test_create_key_prints_the_key_alone_and_the_database_beside_it() -> None:
    deployment = make_deployment("feed")
    out, err = StringIO(), StringIO()
    call_command("create_key", "cli", "--scope=read", "--deployment=feed", stdout=out, stderr=err)
    principal = principal_of(out.getvalue().strip())
    assert out.getvalue().count("\n") == 1
    assert (principal.label, principal.rights) == ("key:cli", {Team.default().pk: frozenset({"view"})})
    assert principal.deployment_ids == frozenset({deployment.id})
    assert "made in" in err.getvalue()


def test_create_key_may_execute_and_read_unless_it_is_told_otherwise() -> None:
    out = StringIO()
    call_command("create_key", "cli", stdout=out, stderr=StringIO())
    principal = principal_of(out.getvalue().strip())
    assert (principal.rights, principal.deployment_ids) == ({Team.default().pk: frozenset({"execute", "view"})}, ALL)


def test_create_key_ends_it_when_it_is_told_to() -> None:
    until = timezone.now() + timedelta(days=30)
    call_command("create_key", "brief", f"--expires={until.isoformat()}", stdout=StringIO(), stderr=StringIO())
    assert ApiKey.objects.get().expires_at == until
    with pytest.raises(CommandError, match="--expires: This time has passed"):
        call_command("create_key", "late", "--expires=2020-01-01T00:00Z")
    with pytest.raises(CommandError, match="--expires: Datetime has wrong format"):
        call_command("create_key", "odd", "--expires=soon")
    assert ApiKey.objects.count() == 1


def test_create_key_makes_it_for_the_team_that_is_named() -> None:
    other = Team.objects.create(name="other")
    make_deployment("feed")
    out = StringIO()
    call_command("create_key", "cli", "--team=other", stdout=out, stderr=StringIO())
    assert principal_of(out.getvalue().strip()).rights == {other.pk: frozenset({"execute", "view"})}
    with pytest.raises(CommandError, match=r"no team nobody\. There is: default, other"):
        call_command("create_key", "cli", "--team=nobody")
    with pytest.raises(CommandError, match="Leave --team out"):
        call_command("create_key", "cli", "--team=other", "--deployment=feed")
    assert ApiKey.objects.count() == 1


def test_create_key_says_what_is_deployed_when_the_path_is_unknown() -> None:
    make_deployment("feed")
    with pytest.raises(CommandError, match="There is: /api/deployed/feed"):
        call_command("create_key", "cli", "--deployment=food")
    with pytest.raises(CommandError, match="Use /api/deployed/feed"):
        call_command("create_key", "cli", "--deployment=Feed")


def _written() -> None:
    """Return once the thread has done what it was given, and given its connection back."""
    done = threading.Event()

    def finish() -> None:
        connections.close_all()
        done.set()

    key_use._thread.submit(finish)
    assert done.wait(10)


def _last_used(key: ApiKey) -> object:
    return ApiKey.objects.values_list("last_used_at", flat=True).get(id=key.id)


class TestLimitsByCommand:
    def test_a_key_is_made_with_its_limits(self) -> None:
        words = ["--rate-count=5", "--rate-seconds=60", "--daily-max-cost-usd=0.25", "--daily-max-executions=100"]
        call_command("create_key", "crm", *words, stdout=StringIO(), stderr=StringIO())
        key = ApiKey.objects.get()
        assert (key.rate_count, key.rate_seconds, key.daily_max_cost_usd) == (5, 60, Decimal("0.25"))
        assert (key.daily_max_executions, key.max_concurrent, key.daily_max_tokens) == (100, None, None)

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["--rate-count=5"], "both rate_count and rate_seconds"),
            (["--daily-max-tokens=some"], "--daily-max-tokens: A valid integer"),
            (["--max-concurrent=0"], "--max-concurrent: Ensure this value is greater"),
            (["--daily-max-cost-usd=-1"], "--daily-max-cost-usd: "),
        ],
    )
    def test_limits_that_are_none_make_no_key(self, words: list[str], complaint: str) -> None:
        with pytest.raises(CommandError, match=complaint):
            call_command("create_key", "crm", *words, stdout=StringIO(), stderr=StringIO())
        assert not ApiKey.objects.exists()
