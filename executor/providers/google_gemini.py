"""Google's Gemini API, by key (not Vertex AI)."""

from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from executor.egress_httpx import checked_client
from executor.providers.accounts import Account
from executor.providers.sdk_connection import SdkConnection


def connect(account: Account) -> SdkConnection:
    """A connection for the account, on the running loop. Opens nothing yet."""
    http_client = checked_client(private_hosts=[account.host] if account.allow_private else [], origin=account.url)
    provider = GoogleProvider(api_key=account.key, base_url=account.url, http_client=http_client)
    return SdkConnection(
        account,
        http_client,
        lambda name: GoogleModel(name, provider=provider),
        close_sdk=provider.client.aio.aclose,
    )
