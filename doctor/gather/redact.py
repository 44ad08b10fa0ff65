"""Takes names of people and secrets out of what sdoctor writes down."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE", re.IGNORECASE
)
# Tokens are known by the prefixes that their makers give them, other secrets by being long and hexadecimal.
_SECRET_VALUE = re.compile(
    r"\b(?:hf_|sk-|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|eyJ)[A-Za-z0-9_\-.]{8,}"
    r"|\b[0-9a-fA-F]{32,}\b"
)
_LOGIN_IN_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)[^/@\s]+@")
_QUERY_IN_URL = re.compile(r"(?P<url>[A-Za-z][A-Za-z0-9+.\-]*://[^\s?#]+)\?\S*")
_HOME_OF_ANYBODY = re.compile(r"(?:/home/|/Users/|[A-Za-z]:[\\/]+Users[\\/]+)[^/\\:;\s\"']+")
_TOO_COMMON = frozenset(
    {"", "root", "user", "users", "home", "admin", "lib", "usr", "bin", "opt", "data", "python"}
)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Knows this user's home folder and login name; everything it returns may be posted in public."""

    home: str
    user: str

    @staticmethod
    def of_this_user() -> Redactor:
        """The redactor for whoever runs sdoctor."""
        try:
            home, user = str(Path.home()), getpass.getuser()
        except (OSError, KeyError, RuntimeError, ImportError):
            # A container may run under a number that has no name and no home.
            return Redactor("", "")
        return Redactor(home, user)

    def text(self, value: str) -> str:
        """``value`` with home folders written as "~", and logins, tokens and passwords hidden."""
        if len(self.home) > 1:
            value = re.sub(rf"(?<![\w\-.~]){re.escape(self.home)}(?=[/\\:;\s]|$)", "~", value)
        value = _HOME_OF_ANYBODY.sub("~", value)
        if self.user.lower() not in _TOO_COMMON:
            value = re.sub(rf"(?<![\w\-.]){re.escape(self.user)}(?![\w\-.])", "~", value)
        value = _LOGIN_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", value)
        value = _QUERY_IN_URL.sub(rf"\g<url>?{HIDDEN}", value)
        return _SECRET_VALUE.sub(HIDDEN, value)

    def variable(self, name: str, value: str) -> str:
        """The value of an environment variable; one whose name speaks of a secret is hidden whole."""
        if _SECRET_NAME.search(name):
            return HIDDEN if value else ""
        return self.text(value)
