"""The image's roles as compose.yaml describes them, without an engine for containers.

Each runs in a mount namespace of its own: the image's files read-only, its folders in memory, its secrets as files, the
image's user without capabilities and without a way to new ones. The machine's own PostgreSQL and Redis stand in for the
images of those, and the machine's network for the description's; limits of memory are not tried.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.composed import (
    SECRETS,
    folders_in_memory,
    our_services,
    seconds_of,
)

#: Docker's, where the description says nothing.
STOP_SECONDS = 10.0
#: Makes the namespace's root ready, with ROOT, SECRETS and the FOLDERS in memory given, and becomes the role.
ENTER = r"""
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/run"
mkdir -p "$ROOT/run/secrets"
mount --bind "$SECRET_FILES" "$ROOT/run/secrets"
mount -o remount,bind,ro "$ROOT/run/secrets"
mount -o remount,ro "$ROOT/run"
mount --rbind /dev "$ROOT/dev"
mount --rbind /proc "$ROOT/proc"
for folder in $FOLDERS; do mount -t tmpfs -o "${folder#*:}" tmpfs "$ROOT${folder%%:*}"; done
mount -o remount,bind,ro "$ROOT"
exec chroot "$ROOT" "$@"
"""


@dataclass(frozen=True)
class FreshRoot:
    """The image's files and what the Dockerfile says of its processes, with the secrets that they are given."""

    root: Path
    config: Mapping[str, Any]
    secrets: Path

    def command(self, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """The words as the image's user, with the image's variables and these, and without rights of the machine."""
        user = self.config["User"]
        rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
        variables = [*self.config["Env"], "HOME=/data", *(f"{name}={value}" for name, value in environment.items())]
        return [
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", *rights, "--"),
            *("/usr/bin/env", "--ignore-environment", f"--chdir={self.config['WorkingDir']}", *variables, *words),
        ]

    def start(self, service: Mapping[str, Any], words: Sequence[str], log: IO[bytes]) -> "Role":
        folders = " ".join(f"{path}:{options}" for path, options in folders_in_memory(service).items())
        env = os.environ | {"ROOT": str(self.root), "SECRET_FILES": str(self.secrets), "FOLDERS": folders}
        command = self.command(words, service["environment"])
        process = subprocess.Popen(  # noqa: S603 - our own words
            ["/usr/bin/unshare", "--mount", "/bin/sh", "-euc", ENTER, "sh", *command], env=env, stdout=log, stderr=log
        )
        return Role(self, service, process)

    def run(self, service: Mapping[str, Any], words: Sequence[str]) -> tuple[int, str]:
        """Exit status and output of a process of that service."""
        with tempfile.TemporaryFile() as log:
            status = self.start(service, words, log).process.wait()
            log.seek(0)
            return status, log.read().decode(errors="replace")


@dataclass(frozen=True)
class Role:
    """A process of a service."""

    fresh: FreshRoot
    service: Mapping[str, Any]
    process: subprocess.Popen[bytes]

    def inside(self, words: Sequence[str]) -> str:
        """Standard output of a command beside the process, as `docker compose exec` runs it."""
        entered = ["/usr/bin/nsenter", f"--target={self.process.pid}", "--mount", "--root"]
        command = self.fresh.command(words, self.service["environment"])
        done = subprocess.run([*entered, *command], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode:
            sys.stdout.write(done.stdout)
            done.check_returncode()
        return done.stdout

    def require_health(self) -> None:
        probe, *words = self.service.get("healthcheck", {}).get("test") or self.fresh.config["Healthcheck"]["Test"]
        assert probe == "CMD", "a health check that needs no shell"
        self.inside(words)

    def end(self) -> int:
        """Its exit status, within the time that it is given. Raises `TimeoutExpired`."""
        self.process.terminate()
        grace = self.service.get("stop_grace_period")
        return self.process.wait(seconds_of(grace) if grace else STOP_SECONDS)


def make_secrets(folder: Path, database_url: str) -> Path:
    """What the operator's command makes, but for the place of the database. The image's user has to reach it."""
    secrets = folder / "secrets"
    subprocess.run([BASE_DIR / "deploy/make-secrets", secrets], check=True)  # noqa: S603 - our own words
    (secrets / "database_url").write_text(f"{database_url}\n")
    secrets.chmod(0o755)  # an engine mounts the files, and not the folder
    return secrets


def at_hand(redis_url: str, port: int, provider_url: str) -> dict[str, dict[str, Any]]:
    """Our services with the addresses of this machine in place of the description's, and a provider as of `.env`."""
    provider = {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "sk-only-for-tests"}
    described = our_services()
    for service in described.values():
        service["environment"] = {
            name: value.replace("redis://redis:6379", redis_url) for name, value in service["environment"].items()
        } | {"PORT": str(port), **provider}
    return described


def require_read_only(fresh: FreshRoot, service: Mapping[str, Any]) -> None:
    """Nothing is written but in memory, no secret is changed, and there are no rights: or the trial shows nothing."""
    flags = "import os, sys; [print(path, os.statvfs(path).f_flag & os.ST_RDONLY) for path in sys.argv[1:]]"
    folders = ["/", "/app", "/opt/venv", "/run", SECRETS]
    status, said = fresh.run(service, ["python", "-c", flags, *folders])
    assert (status, said.split()) == (0, [word for folder in folders for word in (folder, str(os.ST_RDONLY))]), said
    status, said = fresh.run(service, ["sh", "-c", "cat /proc/self/status; echo kept >/data/new; cat /data/new"])
    assert status == 0, said
    assert "kept" in said
    for line in ("CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in said, f"{line} is not in\n{said}"
