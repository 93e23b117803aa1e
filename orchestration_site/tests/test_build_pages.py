"""`.ci/build-pages`: it builds what has changed, nothing twice, and brings a Node.js where the machine has none."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestration_site.environment import BASE_DIR

NODE = "#!/bin/sh\nexit 0\n"
OLD_NODE = "#!/bin/sh\nexit 1\n"
NPM = """#!/bin/sh
echo "npm $*" >>"$CALLS"
case $* in
ci*) mkdir -p node_modules ;;
run*build*) mkdir -p dist && echo '{}' >dist/manifest.json ;;
esac
"""
#: Installs a Node.js that is new enough, where it was told to.
UV = f"""#!/bin/sh
echo "uv $*" >>"$CALLS"
printf '{NODE.replace(chr(10), f"{chr(92)}n")}' >"$(dirname "$0")/node" && chmod +x "$(dirname "$0")/node"
"""


class Folder:
    """A checkout in which `npm` and `uv` only say that they were called."""

    def __init__(self, root: Path, node: str) -> None:
        self.root, self._calls = root, root / "calls"
        (root / "frontend").mkdir()
        (root / "frontend" / "package-lock.json").write_text("{}")
        self.source = root / "frontend" / "main.ts"
        self.source.write_text("first")
        for name, script in {"tools/node": node, "tools/npm": NPM, "venv/bin/uv": UV, "venv/bin/npm": NPM}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(script)
            (root / name).chmod(0o755)

    def build(self) -> list[str]:
        """What the script called."""
        self._calls.write_text("")
        env = {"PATH": f"{self.root / 'tools'}:{os.environ['PATH']}", "CALLS": str(self._calls)}
        subprocess.run([str(BASE_DIR / ".ci/build-pages"), "venv"], cwd=self.root, env=env, check=True)  # noqa: S603 - our own words
        return [" ".join(line.split()[:2]) for line in self._calls.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, NODE)


def test_what_is_built_is_not_built_again(folder: Folder) -> None:
    assert folder.build() == ["npm ci", "npm run"]
    assert folder.build() == []


def test_what_has_changed_is_built_with_what_is_installed(folder: Folder) -> None:
    folder.build()
    folder.source.write_text("second")
    assert folder.build() == ["npm run"]


def test_new_packages_are_installed_first(folder: Folder) -> None:
    folder.build()
    (folder.root / "frontend" / "package-lock.json").write_text('{"new": 1}')
    assert folder.build() == ["npm ci", "npm run"]


def test_a_build_that_was_lost_is_made_again(folder: Folder) -> None:
    folder.build()
    (folder.root / "frontend" / "dist" / "manifest.json").unlink()
    assert folder.build() == ["npm run"]


def test_an_old_node_is_not_used(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OLD_NODE)
    assert folder.build() == ["uv pip", "npm ci", "npm run"]
    assert folder.build() == []
