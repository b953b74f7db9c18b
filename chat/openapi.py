"""What the OpenAPI document says where one method answers with two statuses: 201 made, 200 found."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema

from core.api import PROBLEM, Problem
from core.openapi import schema

F = TypeVar("F", bound=Callable[..., Any])


def made_or_found(answer: Any) -> Callable[[F], F]:
    """Over `operation`, in place of its `answer` and `status`."""
    shape, problem = schema(answer), schema(Problem)
    return extend_schema(responses={201: shape, 200: shape, ("4XX", PROBLEM): problem, ("5XX", PROBLEM): problem})
