"""What the tests share: the cast, in this process's database or in that of real servers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.cast import Cast, make_cast
from tests.processes import Stack, make_cast_in

pytest_plugins = ["tests.plugin"]


@pytest.fixture(scope="module")
def _module_cast(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """Made once a module, inside a transaction that its tests nest in."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_cast()
        transaction.set_rollback(True)


@pytest.fixture
def cast(_module_cast: Any, db: None) -> Any:
    """Everybody, in this process's database; what a test changes is undone after it."""
    return _module_cast


@pytest.fixture
def committed_cast(transactional_db: None) -> Any:
    """The same, committed, for tests with several threads."""
    return make_cast()


@pytest.fixture(scope="module")
def make_stack() -> Iterator[Callable[..., Any]]:
    """`make_stack(kind, **settings)` → (stack, cast): a database of its own for servers, with the cast in it."""
    stacks: list[Any] = []

    def make(kind: str, **settings: Any) -> Any:
        stack = Stack(kind, **settings)
        stacks.append(stack)
        return stack, seed(stack)

    yield make
    for stack in stacks:
        stack.stop()


def seed(stack: Stack) -> Any:
    """Make the cast in the stack's database."""
    return Cast.from_json(stack.seeded() or make_cast_in(stack.environ))
