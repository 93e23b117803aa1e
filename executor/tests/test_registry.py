"""The registry finds accounts and models by name, imports no SDK before it is needed, and outlives event loops."""

import asyncio
import subprocess
import sys

import pytest
from pydantic import SecretStr

from executor.errors import UnknownModel
from executor.providers.accounts import Account, accounts_from_environment
from executor.providers.contract import Message, ModelRequest
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings
from orchestration_site.proving.mock_provider import MockProvider, serve_in_thread


def test_one_registry_serves_many_event_loops_one_after_the_other() -> None:
    async def take_port() -> int:
        async with MockProvider() as server:
            return server.port

    port = asyncio.run(take_port())
    registry = ProviderRegistry(
        [Account("local", "openai", f"http://127.0.0.1:{port}/v1", SecretStr("k"), allow_private=True)]
    )

    request = ModelRequest("", (Message("user", "Hello"),), AgentSettings())

    async def ask() -> str:
        async with MockProvider(port=port):
            return (await registry.model("local:mock").complete(request)).text

    assert [asyncio.run(ask()) for _ in range(3)] == ["Mock answer to: Hello"] * 3


CLIENTS = ("openai", "anthropic", "google.genai", "pydantic_ai", "genai_prices", "httpx", "httpx2", "aiohttp")


def imported_by(code: str) -> set[str]:
    """Which of the clients a process has imported when it has run that."""
    code += f"\nimport sys\nprint(*[name for name in {CLIENTS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    return set(done.stdout.split())


def test_an_idle_process_has_imported_no_client_and_no_sdk() -> None:
    code = """
import executor.egress
from executor.providers.accounts import accounts_from_environment
from executor.providers.registry import ProviderRegistry
ProviderRegistry(accounts_from_environment({"OPENAI_API_KEY": "x"})).model("openai:gpt")
"""
    assert imported_by(code) == set()


@pytest.mark.parametrize("on_text", ["None", "str"])
def test_a_process_that_has_used_openai_accounts_alone_has_imported_no_sdk(on_text: str) -> None:
    with serve_in_thread() as server:
        code = f"""
import asyncio
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelRequest
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings
registry = ProviderRegistry([Account("local", "openai", {server.base_url!r}, allow_private=True)])
request = ModelRequest("", (Message("user", "Hello"),), AgentSettings(), {{"type": "object"}})
asyncio.run(registry.model("local:mock").complete(request, {on_text}))
"""
        assert imported_by(code) == {"aiohttp"}
    assert server.counters.requests == 1


def test_the_environment_makes_accounts_and_consents_to_its_base_urls() -> None:
    accounts = accounts_from_environment(
        {
            "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
            "ANTHROPIC_API_KEY": "a",
            "GEMINI_API_KEY": "g",
            "GOOGLE_API_KEY": "",
        }
    )
    by_name = {account.name: account for account in accounts}
    assert list(by_name) == ["openai", "anthropic", "google", "offline"]
    assert by_name["openai"].allow_private
    assert by_name["openai"].key
    assert not by_name["anthropic"].allow_private
    assert by_name["google"].key == "g"
    assert [account.name for account in accounts_from_environment({})] == ["offline"]


def test_a_name_is_checked_by_its_account_and_the_sentence_lists_the_accounts() -> None:
    registry = ProviderRegistry(accounts_from_environment({"OPENAI_API_KEY": "x"}))
    assert registry.problem_with("openai:whatever") is None
    problem = registry.problem_with("opnai:gpt")
    assert problem is not None
    assert "offline, openai" in problem
    assert registry.problem_with("gpt") is not None
    with pytest.raises(UnknownModel, match="offline, openai"):
        registry.model("opnai:gpt")
    assert registry.model("openai:a") is registry.model("openai:a")
    assert registry.default_model == "offline:demo"
