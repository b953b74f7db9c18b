"""The tests notice each permission that goes wrong: some of them here, all of them in `make mutants`."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.permissions_page import PAGE, current

pytestmark = pytest.mark.once

SAMPLE = [
    "cell tenant.change admin: yes → no",
    "cell tenant.change member: no → yes",
    "cell role.see guest: no → yes",
    "cell seat.leave member: yes → no",
    "cell seat.leave owner: succeeded → yes",
    "cell seat.transfer admin: no → yes",
    "cell seat.transfer owner: below → not below",
    "cell room.create guest: no → yes",
    "cell room.create owner: yes → no",
    "filter tenants/queries.py last_owner: tenant=tenant",
    "statement tenants/access.py _by_slug: tenant__slug__in=slugs",
    "statement chat/batch.py _members: active_seat('seat__')",
    "statement chat/hello.py _rooms: seat__in=seats",
    "guard chat/batch.py Batch._judge: seat is None",
    "guard chat/hello.py greeting: now is None",
]
KILLERS = (
    "rename_the or what_each_role or but_the_last_owner or hand_their_seat or guests_make_rooms or in_two_organizations"
    " or while_a_message_is_sent or told_ones_organization or whose_seat_has_ended"
)
"""Few enough to be quick: what the sample breaks, and nothing else."""


def run(*arguments: str, patience: float) -> Any:
    made = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
        stdin=subprocess.DEVNULL,
    )
    assert made.stdout, made.stderr
    return json.loads(made.stdout) | {"code": made.returncode}


def test_of_these_mutants_all_are_killed_but_the_one_that_these_tests_are_not_about() -> None:
    survivor = "cell room.join member: opens → no"
    only = [argument for name in (*SAMPLE, survivor) for argument in ("--only", name)]
    found = run(*only, "--tests", KILLERS, patience=600)
    assert found["survived"] == [survivor], "premise: a mutant that none of these tests is about"
    assert (found["killed"], found["mutants"], found["code"]) == (len(SAMPLE), len(SAMPLE) + 1, 1)


def test_the_page_on_permissions_is_what_the_code_says() -> None:
    page = PAGE.read_text()
    assert page == current(page), "bring it up to date: python -m tests.permissions_page"
