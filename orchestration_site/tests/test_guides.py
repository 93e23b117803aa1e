"""What the documents tell to type runs as it stands, on a real site, and prints what they show."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.guides import DOCUMENTS, GUIDES, Step, code_of, steps_of, typed_lines
from orchestration_site.tests.sites import Site, run_embedded_site

pytestmark = [pytest.mark.embedded, pytest.mark.long]

#: Stands in every document, and is the site of the test.
ADDRESSES = re.compile(r"http://127\.0\.0\.1:8000|https://your\.site")
#: What the site's fixture does in its place.
STARTS = "make run\n"
#: Where the commands of the others are run, or why they are not.
ELSEWHERE = {
    "README.md": "test_the_readme_runs_as_it_stands",
    "docs/retention.md": "test_history_is_exported_as_the_document_says",
    "docs/commands.md": "orchestration_site/tests/test_command_examples.py",
    "docs/guarantees.md": "orchestration_site/proving/tests/test_command.py",
    # The recipe of the backup is run; what containers would do, `make image` does; units are read, not started.
    "docs/deployment.md": "orchestration_site/tests/test_deployment_files.py",
    "docs/performance.md": "measures for half an hour and more",
}


#: Of docs/deployment.md: what a line begins with, and what stands in for running it.
NOT_RUN = {
    r"docker compose (up|logs|ps|stop|run|exec)\b": "`make image` does to a fresh root what these do to containers",
    r"deploy/make-secrets": "run by `make image`",
    r"/opt/orchestration/deploy/manage ": "run by test_deployment_files.py in another folder",
    r"(apt|useradd|cp|install|runuser|echo|printf|systemctl|journalctl) ": "units are read by test_deployment_files.py",
    r"\[Service\]|LoadCredential=|Environment=": "lines of a unit",
    r"(umask|tar|git pull)\b": "of the shell and git alone",
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with run_embedded_site() as site:
        yield site


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone, and into which may be written."""
    for entry in BASE_DIR.iterdir():
        if entry.name not in ("var", ".git", ".env"):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


def run_steps(steps: list[Step], site: Site, clone: Path) -> None:
    """All in one shell, as they are typed in one terminal. Raises `AssertionError` that shows the first that fails."""
    blocks = [
        f"echo {number} >step\n{{ {ADDRESSES.sub(site.base_url, step.typed)}\n}} >{number}.out"
        for number, step in enumerate(steps)
    ]
    script = clone / "steps.sh"
    script.write_text("\n".join(blocks))
    done = subprocess.run(  # noqa: S603 - our own words
        ["/bin/bash", "-euo", "pipefail", script],
        cwd=clone,
        env=dict(site.env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        failed = steps[int((clone / "step").read_text())]
        raise AssertionError(f"This ended with {done.returncode}:\n{failed.typed}\n{done.stderr}")
    for number, step in enumerate(steps):
        output = (clone / f"{number}.out").read_text()
        assert step.prints(output), f"After\n{step.typed}\nthere is to be\n{step.shown}\nand there is\n{output}"


def prelude(site: Site) -> Step:
    """What other guides take from the tutorial: a key, the site's address, and a short word for a call."""
    [block] = [step for step in steps_of(GUIDES[0]) if "api() {" in step.typed]
    key, *lines, call = block.typed.splitlines()
    assert key.startswith("KEY=")
    assert call.startswith("api ")
    made = site.make_key("guides", scopes=("execute", "read", "manage"))
    return Step("\n".join([f"KEY={made}", *lines]))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_runs_as_it_stands(guide: Path, site: Site, clone: Path) -> None:
    steps = [step for step in steps_of(guide) if step.typed != STARTS]
    assert steps or guide.stem == "call-reliably"
    run_steps(steps if guide == GUIDES[0] else [prelude(site), *steps], site, clone)


def test_the_client_of_the_guide_repeats_its_call_and_executes_once(site: Site) -> None:
    [client] = code_of(BASE_DIR / "docs/howto/call-reliably.md", "python")
    defined: dict[str, object] = {}
    exec(client, defined)  # noqa: S102 - our own document
    execute = defined["execute"]
    assert callable(execute)
    call = (site.base_url, site.make_key("reliable"), "status-digest", {"readings": "checkout is up"})
    first, again = (execute(*call, call_id="order-17") for _ in range(2))
    assert first["status"] == "completed"
    assert first["execution_id"] == again["execution_id"]


def test_the_readme_runs_as_it_stands(site: Site, clone: Path) -> None:
    [call] = [code for code in code_of(BASE_DIR / "README.md", "") if code.startswith("KEY=")]
    run_steps([Step(call)], site, clone)
    assert '"status":"completed"' in (clone / "0.out").read_text()


def test_history_is_exported_as_the_document_says(site: Site, clone: Path) -> None:
    commands = [line for line in typed_lines(BASE_DIR / "docs/retention.md") if "export" in line]
    assert len(commands) == 2
    run_steps([prelude(site), *map(Step, commands)], site, clone)


def test_no_document_tells_to_type_what_nobody_has_run() -> None:
    named = {str(path.relative_to(BASE_DIR)) for path in DOCUMENTS if path not in GUIDES and typed_lines(path)}
    assert named == {name for name in ELSEWHERE if (BASE_DIR / name).exists()}
    for where in ELSEWHERE.values():
        assert where in globals() or " " in where or (BASE_DIR / where).exists(), where


def test_of_the_installation_only_what_needs_a_server_of_its_own_is_not_run() -> None:
    lines = [line.strip() for code in code_of(BASE_DIR / "docs/deployment.md", "") for line in code.splitlines()]
    left = [line for line in lines if line and not any(re.match(kind, line) for kind in NOT_RUN)]
    assert left == []
    assert all(any(re.match(kind, line) for line in lines) for kind in NOT_RUN), "a kind that no line is of"
