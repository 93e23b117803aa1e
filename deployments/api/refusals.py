"""What our verbs refuse, as problems of the API."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from deployments.api.rate_limit_headers import headers_of_refusal
from deployments.deploying import DeploymentGone, EndpointTaken, RevisionChanged, UnknownVersion
from deployments.endpoint_path import InvalidEndpointPath
from deployments.executions.admission import LimitReached
from deployments.executions.rerunning import RerunRefused
from deployments.executions.reused import ParentGone
from deployments.executions.start import IdempotencyConflict
from deployments.limits import InvalidLimits
from deployments.scheduling.errors import InvalidSchedule, ScheduleGone
from executor.errors import CannotRerun, InvalidDesign, InvalidInput, MalformedDesign, Problem
from rest.problems import ApiProblem, FieldError, invalid


@contextmanager
def refusals_as_problems() -> Iterator[None]:
    """Inside, what `deployments.deploying` and the making of a version refuse becomes an `ApiProblem`."""
    try:
        yield
    except InvalidEndpointPath as refused:
        problem = invalid([FieldError("/endpoint_path", "invalid_path", str(refused))])
        problem.extra["proposal"] = refused.proposal
        raise problem from None
    except EndpointTaken as refused:
        raise ApiProblem(409, "endpoint-taken", str(refused), endpoint_path=refused.endpoint_path) from None
    except UnknownVersion as refused:
        raise invalid([FieldError("/version", "unknown_version", str(refused))]) from None
    except (InvalidDesign, MalformedDesign) as refused:
        raise invalid_design(refused.problems) from None
    except InvalidSchedule as refused:
        raise invalid(field_errors_of(refused.problems, below="/schedule")) from None
    except InvalidLimits as refused:
        raise invalid(field_errors_of(refused.problems, below="/limits")) from None
    except ScheduleGone as refused:
        raise ApiProblem(404, "no-schedule", str(refused)) from None
    except RevisionChanged as refused:
        raise ApiProblem(412, "precondition-failed", str(refused)) from None
    except DeploymentGone as refused:
        raise ApiProblem(404, "not-found", str(refused)) from None


@contextmanager
def starts_as_problems() -> Iterator[None]:
    """Inside, what `start_execution` refuses becomes an `ApiProblem`."""
    try:
        yield
    except IdempotencyConflict as conflict:
        raise ApiProblem(422, "idempotency-key-reused", str(conflict)) from None
    except LimitReached as reached:
        raise ApiProblem(
            429,
            reached.code,
            f"{reached} Try again after the seconds in Retry-After.",
            headers={"Retry-After": str(reached.retry_after), **headers_of_refusal(reached)},
        ) from None


@contextmanager
def reruns_as_problems() -> Iterator[None]:
    """Inside, what `rerun_execution` refuses becomes an `ApiProblem`."""
    try:
        with starts_as_problems():
            yield
    except ParentGone as refused:
        raise ApiProblem(404, "not-found", str(refused)) from None
    except RerunRefused as refused:
        raise ApiProblem(409, refused.code, str(refused)) from None
    except InvalidInput as refused:
        raise invalid(field_errors_of(refused.problems, below="/input_data")) from None
    except CannotRerun as refused:
        raise invalid([FieldError("/from", refused.code, str(refused))]) from None


def invalid_design(problems: Iterable[Problem]) -> ApiProblem:
    """422: the design cannot run. The pointers are from the design."""
    errors = field_errors_of(problems)
    return ApiProblem(
        422,
        "design-invalid",
        f"The design cannot run yet: {errors[0].message} Correct what errors lists, save it, and try again.",
        errors=errors,
    )


def field_errors_of(problems: Iterable[Problem], *, below: str = "") -> list[FieldError]:
    """The engine's problems with pointers from the body's top."""
    return [FieldError(below + problem.pointer, problem.code, problem.message) for problem in problems]
