"""The instrument sees what it is to see: gaps, repetitions, ends that never came."""

import pytest

from orchestration_site.proving.viewers import Viewer, ViewersReport


def viewer(*seqs: int, last_type: str = "execution.completed") -> Viewer:
    return Viewer("execution", seqs=list(seqs), last_type=last_type)


@pytest.mark.parametrize(
    ("seqs", "gaps", "repetitions"),
    [
        ((), 0, 0),
        ((1, 2, 3), 0, 0),
        ((2, 3), 1, 0),
        ((1, 3), 1, 0),
        ((1, 2, 2, 3), 0, 1),
        ((1, 2, 3, 2, 3), 0, 1),
        ((1, 3, 2), 1, 1),
        ((1, 2, 5, 9), 2, 0),
    ],
)
def test_what_one_viewer_missed_and_saw_again(seqs: tuple[int, ...], gaps: int, repetitions: int) -> None:
    assert (viewer(*seqs).gaps, viewer(*seqs).repetitions) == (gaps, repetitions)


@pytest.mark.parametrize(
    ("viewers", "is_broken"),
    [
        ([viewer(1, 2), viewer(1, 2)], False),
        ([viewer(1, 2), viewer(1, 3)], True),
        ([viewer(1, 2), viewer(1, 1, 2)], True),
        ([viewer(1, 2), viewer(1, 2, last_type="block.completed")], True),
        ([viewer(1, 2), viewer(1, 2, 3)], True),
        ([viewer(), viewer(1, 2)], True),
    ],
)
def test_a_report_is_broken_when_one_viewer_of_many_is(viewers: list[Viewer], *, is_broken: bool) -> None:
    assert ViewersReport.of(viewers).broken is is_broken
