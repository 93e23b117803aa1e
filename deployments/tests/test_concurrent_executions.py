"""MAX_CONCURRENT_EXECUTIONS: how many executions one worker process runs at once."""

import pytest

from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.tests.sites import run_embedded_site


@pytest.mark.long
@pytest.mark.embedded
def test_a_worker_runs_no_more_at_once_than_the_operator_allows_and_the_others_wait_their_turn() -> None:
    with run_embedded_site(MAX_CONCURRENT_EXECUTIONS=2) as site:
        api = SiteApi(site, site.make_key(scopes=EVERYTHING))
        deployed = api.deploy("openai:latency-500")
        accepted = [deployed.call(Prefer="respond-async").json()["execution_id"] for _ in range(6)]
        assert {api.wait_for_end(execution_id)["status"] for execution_id in accepted} == {"completed"}
        assert site.provider.counters.requests == 6
        assert site.provider.counters.in_flight_peak == 2
