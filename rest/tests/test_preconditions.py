"""If-Match: nobody overwrites what they have not seen."""

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from rest.preconditions import check_if_match, etag
from rest.problems import ApiProblem


def request_with(header: str | None) -> Request:
    headers = {} if header is None else {"If-Match": header}
    return Request(APIRequestFactory().put("/", headers=headers))


@pytest.mark.parametrize("header", [None, "*", ' "7" ', etag(7), '"5", "7"', 'W/"7", "7"', '"5","7"'])
def test_the_seen_revision_may_be_changed(header: str | None) -> None:
    check_if_match(request_with(header), 7)


@pytest.mark.parametrize("header", ['"6"', '"5", "6"', 'W/"7"', '"07"', '""', '"77"'])
def test_any_other_is_a_412_that_tells_the_revision(header: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        check_if_match(request_with(header), 7)
    assert caught.value.status_code == 412
    assert caught.value.headers == {"ETag": '"7"'}


@pytest.mark.parametrize("header", ["7", "", '"7', '"7" "8"', "w/7", '"7",', '*, "7"', '"' * 5_000])
def test_what_is_no_etag_is_a_400(header: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        check_if_match(request_with(header), 7)
    assert caught.value.status_code == 400
