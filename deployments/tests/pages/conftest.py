"""Fixtures: the site that the visitor looks at, as a program sees it."""

import pytest

from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.tests.sites import Site


@pytest.fixture(scope="module")
def page_api(embedded_site: Site) -> SiteApi:
    """The same site over REST, with a key that may do everything: `key:program`."""
    return SiteApi(embedded_site, embedded_site.make_key("program", scopes=EVERYTHING))
