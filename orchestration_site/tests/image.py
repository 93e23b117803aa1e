"""`make image`: builds the Dockerfile with buildah, runs it alone, then as compose.yaml describes, and upgrades it.

It needs root, Debian's packages buildah and debootstrap, and no daemon. Where no registry is reached, a Debian root of
the same release with Debian's Python stands in for the base image.

    python -m orchestration_site.tests.image [--executions N] [--no-upgrade] [--then COMMAND]

`--then` runs a shell's command beside the composed system, which it finds by SITE_URL, SITE_KEY, SITE_PROVIDER (the
mock provider behind it), SITE_PROCESSES (a file with a line for each process: its id, its name) and SITE_DATABASE.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import django
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.tests.settings")
django.setup()

# What proves the system imports some of it, for which Django has to be set up first.
from orchestration_site.environment import BASE_DIR  # noqa: E402
from orchestration_site.proving.servers import free_port, run_postgres, run_redis  # noqa: E402
from orchestration_site.tests.composed import DOCKERFILE  # noqa: E402
from orchestration_site.tests.image_calls import call_samples, say, wait_until_ready  # noqa: E402
from orchestration_site.tests.image_trials import Image, Servers, try_composed, try_upgrade  # noqa: E402
from orchestration_site.tests.previous_release import PREVIOUS_RELEASE, extract_previous_release  # noqa: E402

IMAGE = "localhost/orchestration"
PREVIOUS_IMAGE = f"{IMAGE}:{PREVIOUS_RELEASE}"
DEBIAN = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
#: What the official image leaves out as well.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
MAX_BYTES = 400_000_000
STOP_SECONDS = 30.0
#: So buildah says that a process has ended in an orderly way and then, as uvicorn does, by the signal itself.
ENDED_BY_SIGTERM = "exited on terminated"


def main() -> int:
    options = read_options()
    missing = [program for program in ("buildah", "debootstrap") if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        sys.stderr.write("`make image` has to run as root. Type: sudo apt install buildah debootstrap\n")
        return 2
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    for base in sorted(set(re.findall(r"^FROM (\S+:\S+)", DOCKERFILE.read_text(), re.MULTILINE))):
        ensure_base(f"docker.io/library/{base}")
    say("Building the image")
    build(IMAGE, BASE_DIR)
    with container(IMAGE) as name:
        try_alone(name)
    with run_postgres() as postgres_url, run_redis() as redis_url:
        servers = Servers(postgres_url, redis_url)
        with mounted(IMAGE) as image:
            say(f"The image has {require_size(image.root) / 1e6:.0f} MB")
            ran = try_composed(image, servers, executions=options.executions, then=options.then)
            say(f"As compose.yaml says, {', '.join(ran)}: answered, found well, killed, proved, and ended")
            if not options.no_upgrade:
                upgrade(image, servers)
    say("The image does what it should.")
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="image")
    parser.add_argument("--executions", type=int, default=600, help="how many `prove` runs (600)")
    parser.add_argument("--no-upgrade", action="store_true")
    parser.add_argument("--then", default="", metavar="COMMAND")
    return parser.parse_args()


def upgrade(image: Image, servers: Servers) -> None:
    """Build the previous release as its own Dockerfile says, start that, and put this one in its place under load."""
    say(f"Building the image of {PREVIOUS_RELEASE}")
    with tempfile.TemporaryDirectory(prefix="orchestration-previous-") as folder:
        extract_previous_release(Path(folder))
        build(PREVIOUS_IMAGE, Path(folder))
    with mounted(PREVIOUS_IMAGE) as previous:
        try_upgrade(previous, image, servers)
    say(f"Upgraded in place from {PREVIOUS_RELEASE}: nothing lost, failed, repeated or fired twice")


def build(image: str, folder: Path) -> None:
    buildah("build", "--pull=never", "--format", "docker", "--tag", image, str(folder), shown=True)


@contextlib.contextmanager
def mounted(image: str) -> Iterator[Image]:
    """The image's files, in a container of it."""
    with container(image) as name:
        yield Image(Path(buildah("mount", name)), image_config(image))


def ensure_base(image: str) -> None:
    """The base image from its registry, from an earlier time, or a stand-in for it."""
    with contextlib.suppress(subprocess.CalledProcessError):
        buildah("pull", "--quiet", "--policy", "missing", image)
        return
    say(f"No registry is reached: a Debian root stands in for {image}")
    with tempfile.TemporaryDirectory(prefix="orchestration-image-") as folder:
        root = Path(folder) / "root"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(root))
        # What this machine trusts; and the names that the official image has.
        shutil.copy(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
        (root / "usr/local/bin/python3.11").symlink_to("/usr/bin/python3.11")
        (root / "usr/local/bin/python").symlink_to("python3.11")
        for left_out in LEFT_OUT:
            shutil.rmtree(root / left_out)
        stand_in = buildah("from", "scratch")
        buildah("add", "--quiet", stand_in, str(root), "/")
        for variable in ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS"):
            buildah("config", "--env", f"{variable}={CERTIFICATES}", stand_in)
        buildah("commit", "--quiet", "--rm", stand_in, image)


def try_alone(name: str) -> None:
    """The image's own command: the whole system on SQLite; its health check; the end that its stop signal asks for."""
    config, port = image_config(), free_port()
    with data_folder(config) as data, running(name, config["Cmd"], data, {"PORT": str(port)}) as serve:
        wait_until_ready(port, serve)
        [probe, *words] = config["Healthcheck"]["Test"]
        assert probe == "CMD", "a health check that needs no shell"
        inside(name, words, data, {"PORT": str(port)})
        call_samples(port, inside(name, ["python", "manage.py", "create_key", "image"], data, {}).strip())
    say(f"Alone, as user {config['User']}: answered, found healthy, and ended")


def require_size(root: Path) -> int:
    """The bytes of the image's files, which are not to become too many."""
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() or path.is_symlink())
    assert size < MAX_BYTES, f"The image has {size / 1e6:.0f} MB"
    return size


def image_config(image: str = IMAGE) -> Mapping[str, Any]:
    """What the Dockerfile has said of user, folder, variables, command and health check."""
    config: Mapping[str, Any] = json.loads(buildah("inspect", image))["Docker"]["config"]
    return config


@contextlib.contextmanager
def container(image: str) -> Iterator[str]:
    name = buildah("from", "--pull-never", image)
    try:
        yield name
    finally:
        buildah("rm", name)


@contextlib.contextmanager
def data_folder(config: Mapping[str, Any]) -> Iterator[Path]:
    """A volume of the image's user. Its numbers are no one's on this machine."""
    with tempfile.TemporaryDirectory(prefix="orchestration-data-") as folder:
        os.chown(folder, int(config["User"]), -1)
        yield Path(folder)


@contextlib.contextmanager
def running(name: str, command: Sequence[str], data: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the image. It has to end by itself, with success, when it is asked to as containers are."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            container_command(name, command, data, env), stdout=log, stderr=log
        )
        try:
            yield process
            end(process)
            assert process.returncode == 0 or ENDED_BY_SIGTERM in written(log), f"{command} ended with an error"
        except BaseException:
            sys.stderr.write(written(log)[-4_000:])
            raise
        finally:
            for one in processes_of(process):
                one.kill()
            process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    [first, *_] = [one for one in processes_of(process) if not one.cmdline()[0].startswith("buildah")]
    first.terminate()
    process.wait(STOP_SECONDS)


def written(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


def processes_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What buildah has started, the process of the image before its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def inside(name: str, command: Sequence[str], data: Path, env: Mapping[str, str]) -> str:
    """Standard output of a command of the image that ends."""
    return run(*container_command(name, command, data, env))


def container_command(name: str, command: Sequence[str], data: Path, env: Mapping[str, str]) -> list[str]:
    variables = [word for variable, value in env.items() for word in ("--env", f"{variable}={value}")]
    return ["buildah", "run", "--volume", f"{data}:/data", *variables, name, "--", *command]


def buildah(*words: str, shown: bool = False) -> str:
    return run("buildah", *words, shown=shown).strip()


def run(*command: str, shown: bool = False) -> str:
    """Standard output, kept from the terminal unless it is to be `shown`. Raises `CalledProcessError`."""
    done = subprocess.run(command, stdout=None if shown else subprocess.PIPE, text=True, check=True)  # noqa: S603
    return done.stdout or ""


if __name__ == "__main__":
    raise SystemExit(main())
