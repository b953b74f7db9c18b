"""What processes cost: CPU and memory from the operating system's books, their children's included."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes and their descendants so far, the ended ones included."""
    return sum(_own_seconds(each) + _ended_children_seconds(each) for pid in pids for each in family(pid))


def _own_seconds(pid: int) -> float:
    """In nanoseconds from the process's own clock (clock_getcpuclockid): /proc tells only hundredths of a second."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _ended_children_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / TICK


def memory_bytes(pid: int) -> tuple[int, int]:
    """Resident set size, and proportional size of the anonymous memory alone, of the process and its descendants.

    The share of a library's pages would change whenever another process that uses it comes or goes.
    """
    resident = anonymous = 0
    for each in family(pid):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
        kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        resident += kilobytes["Rss"] * 1024
        anonymous += kilobytes["Pss_Anon"] * 1024
    return resident, anonymous
