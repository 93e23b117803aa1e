"""Fixtures of a running site, as a client of it sees it."""

import pytest

from deployments.tests.site_api import EVERYTHING, Deployed, History, SiteApi
from orchestration_site.tests.sites import Site


@pytest.fixture(scope="module")
def api(site: Site) -> SiteApi:
    """The site, with a key that may do everything."""
    return SiteApi(site, site.make_key(scopes=EVERYTHING))


@pytest.fixture(scope="module")
def endpoint(api: SiteApi) -> Deployed:
    """An endpoint that answers at once."""
    return api.deploy()


@pytest.fixture(scope="module")
def history(api: SiteApi) -> History:
    """A deployment, its execution that failed, and two after it that completed."""
    deployed = api.deploy("openai:status-400-1+history")
    failed = deployed.call()
    assert failed.status_code == 502, failed.text
    completed = [deployed.call().json()["execution_id"], deployed.call().json()["execution_id"]]
    return deployed, failed.json()["execution_id"], completed
