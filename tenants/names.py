"""What an organization may be called, and the address it may have."""

import re
import unicodedata

from core.errors import Invalid

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
RESERVED = frozenset(
    {
        "about", "abuse", "accounts", "admin", "administrator", "api", "app", "assets", "billing", "blog",
        "conclave", "docs", "download", "email", "files", "help", "home", "invitations", "invite", "invites",
        "livez", "login", "logout", "mail", "metrics", "new", "none", "null", "official", "operator", "owner",
        "postmaster", "privacy", "readyz", "root", "search", "security", "self", "settings", "setup", "signin",
        "signup", "static", "status", "support", "system", "team", "teams", "tenant", "tenants", "terms",
        "undefined", "webmaster", "www",
    }
)  # fmt: skip
"""Addresses that would look as if they were ours."""


def checked_name(name: str, field: str = "name") -> str:
    """Without blanks around it. Raises Invalid where nothing is left, or where it holds control characters."""
    name = name.strip()
    if not name:
        raise _refused(field, "Blank.")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        raise _refused(field, "Control characters and line breaks are not allowed.")
    return name


def checked_slug(slug: str) -> str:
    """Raises Invalid with the reason. Ids work in a slug's place, so a slug must not look like one."""
    if not 3 <= len(slug) <= 40 or not _SLUG.fullmatch(slug):
        raise _refused("slug", "3 to 40 small letters, digits and single hyphens between them.")
    if slug in RESERVED or _ID.fullmatch(slug):
        raise _refused("slug", "This address is reserved.")
    return slug


def _refused(field: str, reason: str) -> Invalid:
    return Invalid(f"{field}: {reason}", errors={field: [reason]})
