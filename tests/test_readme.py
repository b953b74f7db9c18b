"""The README's commands, pasted into a shell as they stand, against a server with the demo data."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, Stack

pytestmark = pytest.mark.once


def blocks() -> list[str]:
    """The shell blocks of the section about programs, in order."""
    section = (ROOT / "README.md").read_text().split("## Talk to it from a program")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def test_the_commands_of_the_readme_work_as_pasted(tmp_path: Path) -> None:
    if not (shutil.which("jq") and shutil.which("curl")):
        pytest.skip("no curl or jq")
    with Stack("embedded", DEBUG="1") as stack:
        process = stack.serve(1, "serve", "--demo")[0]
        found = re.search(r"member@acme\.test\s+(\S+)", process.log_text())
        assert found
        login, token, send, listen = blocks()
        assert "read -rsp" in login
        script = f"{login}\n{token}\n{send}\n{listen}".replace("localhost:8000", f"localhost:{process.port}")
        script = script.replace(".venv/bin/python", f"timeout 5 {sys.executable} -u")
        run: Any = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{script}"],
            input=f"{found[1]}\n",
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert '"html": "<p>Hello from <strong>curl</strong></p>"' in run.stdout, run.stdout + run.stderr
        assert '{"type":"hello"' in run.stdout
        assert '{"type":"ok","id":"url"' in run.stdout
        assert "Hello from **curl**" in run.stdout.split('"id":"url"')[1]


def test_every_page_that_the_readme_links_to_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)h][^)]*)\)", text)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []
