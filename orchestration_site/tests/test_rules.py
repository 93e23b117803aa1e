"""Rules that hold for the source itself, without a database: what it may not name, and what has to be written down."""

import ast
import fnmatch
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from designs.models import ProviderAccount
from executor.patterns import PATTERNS
from executor.providers.accounts import ACCOUNT_KINDS, ENVIRONMENT_VARIABLES, AccountKind
from orchestration_site.environment import BASE_DIR, Environment
from orchestration_site.tests.composed import roles

PACKAGES = ("access", "rest", "executor", "designs", "deployments", "orchestration_site")
SOURCES = sorted(
    path for package in PACKAGES for path in (BASE_DIR / package).rglob("*.py") if "tests" not in path.parts
)
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle", "jinja2", "mako"}
#: Each runs what a text says, or starts a process: a design or a model's answer must never get there.
FORBIDDEN_IN_PRODUCT = {"subprocess", "pty", "code", "codeop", "runpy"}
FORBIDDEN = FORBIDDEN_MODULES | FORBIDDEN_IN_PRODUCT
#: What an operator starts to kill processes; a contract of import-linter keeps everything else from importing it.
PROVING = BASE_DIR / "orchestration_site" / "proving"
MEASURING = {"prometheus_client", "opentelemetry.sdk.trace", "opentelemetry.sdk.resources", "opentelemetry.exporter"}
PROVIDER_SDKS = {"openai", "anthropic", "google.genai", "pydantic_ai", "litellm", "genai_prices", "mcp"}


def forbidden_names(source: str, *, modules: Collection[str] = FORBIDDEN) -> Iterator[str]:
    """What `source` uses of the names that rule 1 of the security rules bans."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"{node.func.id}() in line {node.lineno}"
        if isinstance(node, ast.Call) and _formats_a_variable(node.func):
            yield f".format() of a text that is not a literal in line {node.lineno}"
        for module in _imported(node):
            if module.split(".")[0] in modules:
                yield f"import {module} in line {node.lineno}"  # type: ignore[attr-defined]  # an import has a line


def _formats_a_variable(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in ("format", "format_map"):
        return False
    return not isinstance(function.value, ast.Constant)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_no_source_can_run_what_a_text_says(path: Path) -> None:
    starts_processes = {"subprocess"} if path.is_relative_to(PROVING) else set()
    modules = FORBIDDEN - starts_processes
    assert list(forbidden_names(path.read_text(), modules=modules)) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import pickle",
        "from jinja2 import Template",
        "text.format(name=1)",
        "exec(code)",
        "import subprocess",
    ],
)
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert len(list(forbidden_names(source))) == 1


def test_the_linter_bans_the_same_and_no_file_of_the_product_is_let_off() -> None:
    lint = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]

    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if rule.startswith("S")]
    excused = {pattern for pattern, rules in lint["per-file-ignores"].items() if {"S", "S301", "S307"} & set(rules)}
    assert excused == set()


@pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
def test_every_requirement_has_its_line_and_every_line_its_requirement(name: str) -> None:
    documented = re.findall(r"^\| ([\w-]+) \|", _documented_dependencies()[0], re.MULTILINE)
    lines = [line for file in ("requirements.in", "requirements-dev.in") for line in _requirements(file)]

    assert set(_requirements(name)) <= set(documented)
    assert sorted(set(documented) - {"package"}) == sorted(lines)


def test_every_package_of_the_pages_has_its_line_and_every_line_its_package() -> None:
    cells = re.findall(r"^\| ([^|]+) \|", _documented_dependencies()[1], re.MULTILINE)
    documented = {name for cell in cells for name in cell.split(", ")} - {"package", "---"}
    manifest = json.loads((BASE_DIR / "frontend/package.json").read_text())
    packages = {**manifest["dependencies"], **manifest["devDependencies"]}

    named = {name: [line for line in documented if fnmatch.fnmatch(name, line)] for name in packages}
    assert [name for name, lines in named.items() if len(lines) != 1] == []
    assert [line for line in documented if not any(fnmatch.fnmatch(name, line) for name in packages)] == []
    assert [version for version in packages.values() if not re.fullmatch(r"\d+(\.\d+)+", version)] == []


def _documented_dependencies() -> tuple[str, str]:
    """The part about Python, and the part about the pages."""
    python, _, pages = (BASE_DIR / "docs/dependencies.md").read_text().partition("\n## What the pages are built from")
    return python, pages


def _requirements(file: str) -> list[str]:
    lines = (BASE_DIR / file).read_text().splitlines()
    return [re.split(r"[\[~=<> ]", line)[0] for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_what_is_locked_is_what_is_required_with_hashes(name: str) -> None:
    locked = re.findall(
        r"^([\w.-]+)(?:\[.*\])?==\S+ .*\\\n    --hash=sha256:", (BASE_DIR / f"{name}.txt").read_text(), re.MULTILINE
    )

    assert set(_requirements(f"{name}.in")) <= set(locked)


def test_the_site_and_the_tests_lock_the_same_versions() -> None:
    pinned = [
        dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (BASE_DIR / file).read_text(), re.MULTILINE))
        for file in ("requirements.txt", "requirements-dev.txt")
    ]

    assert {name: version for name, version in pinned[1].items() if name in pinned[0]} == pinned[0]


def test_every_pattern_is_in_the_contract_that_patterns_do_not_import_each_other() -> None:
    contracts = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [independent] = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    assert sorted(independent) == sorted(pattern.run.__module__ for pattern in PATTERNS.values())


@pytest.mark.parametrize("kind", ACCOUNT_KINDS.values(), ids=ACCOUNT_KINDS)
def test_the_module_of_every_kind_of_account_connects(kind: AccountKind) -> None:
    assert callable(importlib.import_module(kind.module).connect)


def test_a_team_can_have_accounts_of_every_kind_there_is() -> None:
    choices = ProviderAccount._meta.get_field("kind").flatchoices
    assert dict(choices) == {name: kind.title for name, kind in ACCOUNT_KINDS.items()}


def test_every_variable_that_makes_an_account_is_one_of_the_environment() -> None:
    assert {name.lower() for name in ENVIRONMENT_VARIABLES} <= set(Environment.model_fields)


def test_a_role_of_the_image_is_started_as_make_starts_it() -> None:
    makefile = (BASE_DIR / "Makefile").read_text().replace("\\\n", " ")
    for role, command in roles().items():
        [recipe] = re.findall(rf"^{role}\b[^\n]*: install[^\n]*\n\t@(?:exec )?(.+)$", makefile, re.MULTILINE)
        inside = recipe.replace("$(SITE)", "python manage.py").replace("$(BIN)/", "").replace("$(PORT)", "8000")
        assert inside.replace("$(HOST)", "0.0.0.0").split() == command.split()  # noqa: S104 - as containers have to


def test_starting_web_and_worker_imports_no_providers_sdk_and_nothing_that_measures(tmp_path: Path) -> None:
    code = (
        "import sys, orchestration_site.asgi, orchestration_site.celery as celery\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns; celery.app.loader.import_default_modules()\n"
        "print(*sys.modules)"
    )
    env = os.environ | {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "orchestration_site.settings"}
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=BASE_DIR, env=env
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "deployments.executions.worker" in loaded
    assert loaded & (PROVIDER_SDKS | MEASURING) == set()
