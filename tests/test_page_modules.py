"""The page's modules on their own: the tests in tests/js, run by node."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.once, pytest.mark.aside]

FOLDER = Path(__file__).parent / "js"


def test_the_modules_pass_their_own_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    tests = sorted(FOLDER.glob("*.test.mjs"))
    assert tests
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
