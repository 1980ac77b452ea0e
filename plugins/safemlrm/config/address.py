"""Where a server is asked: an address that shows no credential, whoever prints it."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

# Names of what a query holds as a credential: it says who asks, and not whom.
_CREDENTIAL = re.compile(r"key|token|secret|sig|pass|auth|credential", re.IGNORECASE)
_TAG_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Address:
    """The base of a server's chat API, such as "http://localhost:8000/v1".

    Its query and the user and password before its host are kept out of `repr` and `str`.
    """

    written: str = field(repr=False)

    def __repr__(self) -> str:
        """Show what may be shown."""
        return f"Address({self.shown!r})"

    def __str__(self) -> str:
        """Show what may be shown."""
        return self.shown

    @property
    def mistake(self) -> str:
        """What is wrong with the address, in words that do not repeat it; empty when nothing is."""
        try:
            parts = urlsplit(self.written)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good or re.search(r"\s", self.written):
            return "expected addresses such as http://localhost:8000/v1"
        if parts.fragment or parts.path.endswith("/chat/completions"):
            return "expected the base of the API, which ends before /chat/completions"
        return ""

    @property
    def shown(self) -> str:
        """Scheme, host, port and path."""
        if self.mistake:
            return "an address that cannot be read"
        parts = urlsplit(self.written)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @property
    def name(self) -> str:
        """Tell addresses apart: `shown`, and a digest of the part of the query that is no credential."""
        query = parse_qsl(self._query, keep_blank_values=True)
        told = sorted(pair for pair in query if not _CREDENTIAL.search(pair[0]))
        tag = sha256(repr(told).encode()).hexdigest()[:_TAG_LENGTH]
        return f"{self.shown}?{tag}" if told else self.shown

    def to(self, path: str) -> str:
        """Return the whole address of a path below this one, with its query and without its user."""
        return f"{self.shown}/{path}{'?' if self._query else ''}{self._query}"

    @property
    def basic(self) -> str:
        """The Authorization header of the user and password in the address; empty without them."""
        user, at, _ = self._netloc.rpartition("@")
        return f"Basic {b64encode(unquote(user).encode()).decode()}" if at else ""

    @property
    def secrets(self) -> frozenset[str]:
        """Every text of the address that must not be shown, in each form in which it is sent."""
        user = self._netloc.rpartition("@")[0]
        values = [value for _, value in parse_qsl(self._query)]
        found = {self._query, *values, user, *user.split(":", 1), self.basic.removeprefix("Basic ")}
        found |= {unquote(value) for value in found}
        return frozenset(found | {quote(v, safe="") for v in found} | set(map(quote_plus, found)))

    @property
    def _query(self) -> str:
        return "" if self.mistake else urlsplit(self.written).query

    @property
    def _netloc(self) -> str:
        return "" if self.mistake else urlsplit(self.written).netloc
