"""The face: what each template and style sheet must hold to, whoever writes it."""

import math
import re
from pathlib import Path

import allauth
import pytest
from django.template.loader import get_template

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
FACE = ROOT / "core" / "static" / "conclave"
PAGES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
SCRIPTS = sorted((*FACE.glob("*.js"), *(ROOT / "chat" / "static").rglob("*.js")))

UNROUTED = re.compile(r"phone|base_(entrance|manage|.*email|.*password)|(totp|recovery_codes|webauthn)/base|snippets/")
"""Pages of the library that are not routed here, or that hold nothing but the name of a layout that is ours."""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_compiles_and_holds_nothing_that_the_content_security_policy_forbids(page: str) -> None:
    get_template(page)
    source = (TEMPLATES / page).read_text()
    assert not re.search(r"\sstyle\s*=|<style\b|\son[a-z]+\s*=|javascript:", source)
    inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", source)
    assert not inline


def test_every_page_of_the_library_that_we_route_has_our_own_template() -> None:
    theirs = Path(str(allauth.__file__)).parent / "templates"
    found = {
        path.relative_to(theirs).as_posix() for app in ("account", "mfa") for path in (theirs / app).rglob("*.html")
    }
    routed = {name for name in found if not UNROUTED.search(name)}
    assert len(routed) > 30  # premise: the library's templates were found
    assert routed <= set(PAGES)


def test_every_icon_that_is_named_exists() -> None:
    sprite = set(re.findall(r'<symbol id="([a-z-]+)"', (FACE / "icons.svg").read_text()))
    named: set[str] = set()
    for page in PAGES:
        named |= set(re.findall(r'includes/icon\.html" with name="([a-z-]+)"', (TEMPLATES / page).read_text()))
    for script in SCRIPTS:
        named |= set(re.findall(r'\bicon\(\s*"([a-z-]+)"', script.read_text()))
    assert len(named) > 20
    assert named <= sprite


def test_every_static_file_that_a_page_names_exists() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\{% static '((?:conclave|chat)/[^']+)' %\}", (TEMPLATES / page).read_text())
    }
    assert "conclave/tokens.css" in named
    folders = (ROOT / "core" / "static", ROOT / "chat" / "static")
    assert not {name for name in named if not any((folder / name).is_file() for folder in folders)}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "paper", "least"),
    [
        *((ink, paper, 7.0) for ink in ("ink", "ink-soft") for paper in ("paper", "paper-sunk", "paper-raised")),
        *((ink, paper, 4.5) for ink in ("ink-faint", "danger", "ok", "warn") for paper in ("paper", "paper-raised")),
        *((ink, paper, 7.0) for ink in ("accent-ink",) for paper in ("paper", "paper-raised", "accent-wash")),
        *((state, f"{state}-wash", 4.5) for state in ("danger", "ok", "warn")),
        *(("on-accent", fill, 4.5) for fill in ("accent", "accent-strong", "danger", "danger-strong")),
        *(("line-field", paper, 3.0) for paper in ("paper", "paper-raised")),
        *(("accent", paper, 3.0) for paper in ("paper", "paper-sunk", "paper-raised")),
    ],
)
def test_what_is_read_stands_out_from_what_is_behind_it(text: str, paper: str, least: float, scheme: int) -> None:
    lighter, darker = sorted((_luminance(text, scheme), _luminance(paper, scheme)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= least


def _luminance(token: str, scheme: int) -> float:
    """WCAG's relative luminance of a token in a scheme, from its oklch()."""
    line = re.search(rf"--{token}: light-dark\((.*)\);", (FACE / "tokens.css").read_text())
    assert line, token
    colours = re.findall(r"oklch\(([\d.]+)% ([\d.]+) ([\d.]+)\)", line[1])
    lightness, chroma, hue = (float(part) for part in colours[scheme])
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness / 100 + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness / 100 - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness / 100 - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    within = [min(1.0, max(0.0, part)) for part in (red, green, blue)]
    return 0.2126 * within[0] + 0.7152 * within[1] + 0.0722 * within[2]
