"""Whether the locked requirements are what pyproject.toml asks for: compiled again, they must not change."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements/run.txt", "requirements/rabbitmq.txt", "requirements/test.txt", "requirements/bench.txt")
MARK = "#    uv pip compile "


def command_of(lock: Path) -> list[str]:
    """The command that a lock names in its own head."""
    line = next(line for line in lock.read_text().splitlines() if line.startswith(MARK))
    return [sys.executable, "-m", *line.lstrip("# ").split()]


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "requirements").mkdir()
        for source in (*LOCKS, "requirements/bench.in"):
            shutil.copy(ROOT / source, copy / source)
        stale = []
        for lock in LOCKS:
            done = subprocess.run(command_of(ROOT / lock), cwd=copy, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            if (copy / lock).read_text() != (ROOT / lock).read_text():
                stale.append(lock)
    for lock in stale:
        print(f"{lock} is stale: run the command in its head", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
