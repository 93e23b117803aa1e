"""Endpoint paths: one canonical spelling, and a proposal that is always accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.endpoint_path import MAX_CHARACTERS, InvalidEndpointPath, canonical_endpoint_path


@pytest.mark.parametrize(
    "text",
    [
        "feedback-analysis",
        "/feedback-analysis",
        "feedback-analysis/",
        "/feedback-analysis/",
        "api/deployed/feedback-analysis",
        "/api/deployed/feedback-analysis",
        "/api/deployed/feedback-analysis/",
    ],
)
def test_all_spellings_of_a_path_name_the_same_endpoint(text: str) -> None:
    assert canonical_endpoint_path(text) == "/api/deployed/feedback-analysis"


def test_segments_may_be_nested_up_to_eight() -> None:
    assert canonical_endpoint_path("a/b/c/d/e/f/g/h_1") == "/api/deployed/a/b/c/d/e/f/g/h_1"


@pytest.mark.parametrize(
    ("text", "proposal"),
    [
        ("Feedback-Analysis", "/api/deployed/feedback-analysis"),
        ("/api/deployed/Feedback Analysis", "/api/deployed/feedback-analysis"),
        ("../etc/passwd", "/api/deployed/etc/passwd"),
        ("a/./b", "/api/deployed/a/b"),
        ("a//b", "/api/deployed/a/b"),
        ("a%2Fb", "/api/deployed/a/b"),
        ("a%2fb", "/api/deployed/a/b"),
        ("caf\u00e9", "/api/deployed/cafe"),
        ("f\u0435\u0435dback", "/api/deployed/feedback"),  # Cyrillic letters
        ("\uff46\uff45\uff45\uff44", "/api/deployed/feed"),  # full width
        ("feed\u200bback", "/api/deployed/feed-back"),  # a space of no width
        ("openapi.json", "/api/deployed/openapi-json"),
        ("feedback/openapi.json", "/api/deployed/feedback/openapi-json"),
        ("openapi", "/api/deployed/openapi-endpoint"),
        ("docs", "/api/deployed/docs-endpoint"),
        ("", "/api/deployed/my-endpoint"),
        ("/", "/api/deployed/my-endpoint"),
        ("/api/deployed/", "/api/deployed/my-endpoint"),
        ("/api/deployed", "/api/deployed/my-endpoint"),
        ("//", "/api/deployed/my-endpoint"),
        ("1/2/3/4/5/6/7/8/9", "/api/deployed/1/2/3/4/5/6/7/8"),
        ("a\x00b", "/api/deployed/a-b"),
        ("a b", "/api/deployed/a-b"),
        ("a\\b", "/api/deployed/a/b"),
        ("a.b", "/api/deployed/a-b"),
        ("feedback\n", "/api/deployed/feedback"),
        ("\u0663", "/api/deployed/my-endpoint"),  # a digit, but none of ours
    ],
)
def test_what_is_refused_is_told_the_canonical_form(text: str, proposal: str) -> None:
    with pytest.raises(InvalidEndpointPath) as refused:
        canonical_endpoint_path(text)
    assert refused.value.proposal == proposal
    assert proposal in str(refused.value)


def test_two_hundred_characters_are_the_most() -> None:
    longest = "a" * (MAX_CHARACTERS - len("/api/deployed/"))
    assert len(canonical_endpoint_path(longest)) == MAX_CHARACTERS
    with pytest.raises(InvalidEndpointPath):
        canonical_endpoint_path(longest + "a")


@given(st.text(max_size=300))
def test_every_proposal_is_itself_accepted_and_canonical(text: str) -> None:
    try:
        canonical = canonical_endpoint_path(text)
    except InvalidEndpointPath as refused:
        canonical = refused.proposal
    assert canonical_endpoint_path(canonical) == canonical
    assert canonical.isascii()
    assert canonical == canonical.lower()
    assert len(canonical) <= MAX_CHARACTERS
    assert ".." not in canonical
