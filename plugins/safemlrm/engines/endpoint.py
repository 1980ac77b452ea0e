"""The addresses of one model: requests spread over them, tried again when that may help."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from safemlrm.config import Model
from safemlrm.config.address import Address
from safemlrm.engines.chat import Malformed, Reply, complaint_of, filtered, is_filter, reply_of
from safemlrm.engines.patience import Kind, Patience, Setback, retry_after
from safemlrm.engines.secrets import key_of, scrubber_of
from safemlrm.errors import EngineError
from safemlrm.types import Request

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

Body = dict[str, object]
AGAIN = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may succeed."""
BUSY = frozenset({429, 503})
LEFT_AFTER = 3
"""An address that failed so many times in a row is left, while there is another one."""
CONNECT_SECONDS = 30.0
LISTING_SECONDS = 30.0
"""A server that is slow to say what it has is asked all the same; the canaries tell more."""


class Rejected(EngineError):
    """The server does not accept a request as it is; it would not accept it the next time."""


@dataclass(slots=True)
class Endpoint:
    """One address, and how it does."""

    address: Address
    in_flight: int = 0
    failures: int = 0
    answered: int = 0
    rests_until: float = 0.0
    said: set[str] = field(default_factory=set, repr=False)


class Endpoints:
    """Asks the servers of one model, as an asynchronous context manager."""

    def __init__(self, name: str, model: Model, patience: Patience | None = None) -> None:
        """Raises `EngineError` when aiohttp is not installed or the key cannot be one."""
        if find_spec("aiohttp") is None:
            raise EngineError(
                f'[models.{name}] engine "openai" needs aiohttp: pip install "pytest-safemlrm[openai]"'
            )
        self._name = name
        self._model = model
        self.patience = patience or Patience()
        self._key = key_of(model)
        self._scrubber = scrubber_of(model)
        self._limit_key = "max_tokens"
        self.all = [Endpoint(address) for address in model.url or ()]
        self.alive = list(self.all)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Endpoints:
        """Open the connections' pool; none is made before it is needed."""
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, use_dns_cache=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def chat(self, request: Request, body: Body, at: Endpoint | None = None) -> Reply:
        """Ask for one completion, at one address or at whichever is least busy.

        Raises `EngineError` once another attempt would not help or there were enough; it says which
        address answered what, and repeats neither a key nor the prompt.
        """
        met: Counter[Kind] = Counter()
        while True:
            endpoint = at or self._choose()
            answered = endpoint.answered
            await self._rested(endpoint)
            endpoint.in_flight += 1
            try:
                reply = await self._attempt(endpoint, request, body)
            except Setback as setback:
                if endpoint.answered > answered:
                    met["busy"] = 0  # it is busy with others, who leave: that has an end
                met[setback.kind] += 1
                wait = self._after(endpoint, setback, met, request)
            else:
                endpoint.failures = 0
                endpoint.answered += 1
                return reply
            finally:
                endpoint.in_flight -= 1
            if at is None and self._elsewhere(endpoint):
                continue
            await asyncio.sleep(wait)

    async def listed(self, endpoint: Endpoint) -> Mapping[str, object]:
        """Return how a server lists the model; empty where it lists no such model, or none at all."""
        try:
            status, _, text = await self._exchange(endpoint, "models", None)
        except Setback:
            return {}
        data = _parsed(text) if status == 200 else None
        entries = data.get("data") if isinstance(data, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("id") == self._model.model:
                return entry
        return {}

    def leave(self, endpoint: Endpoint, reason: str) -> None:
        """Ask an address no more in this run; its requests go to the others."""
        self.alive = [e for e in self.alive if e is not endpoint]
        log.warning("%s: left out of the rest of this run: %s", endpoint.address, reason)

    def words_of(self, error: BaseException) -> str:
        """Describe an error in a line without secrets."""
        return self._scrubber.clean(f"{type(error).__name__}: {error}")

    def _choose(self) -> Endpoint:
        now = monotonic()
        return min(self.alive, key=lambda e: (e.rests_until > now, e.in_flight))

    def _elsewhere(self, endpoint: Endpoint) -> bool:
        """Whether another address could answer at once."""
        now = monotonic()
        return any(e is not endpoint and e.rests_until <= now for e in self.alive)

    async def _rested(self, endpoint: Endpoint) -> None:
        while (left := endpoint.rests_until - monotonic()) > 0:
            await asyncio.sleep(left)

    def _after(
        self, endpoint: Endpoint, setback: Setback, met: Counter[Kind], request: Request
    ) -> float:
        """Note a failed attempt and return how long to wait, or raise when there were enough."""
        where, patience = endpoint.address, self.patience
        number = met[setback.kind]
        if number >= patience.limit(setback.kind) or met.total() >= patience.busy:
            raise EngineError(
                f"[models.{self._name}] {where}: {setback.reason}, {met.total()} times; see to the "
                "server and run again: what was answered is kept"
            )
        spread = request.seed % 1000 / 1000
        wait = patience.wait(setback, number, spread)
        # Many requests meet the same trouble at once; the first of them is worth a warning.
        level = logging.INFO if setback.reason in endpoint.said else logging.WARNING
        endpoint.said.add(setback.reason)
        log.log(level, "%s: %s; asking again in %.1f s", where, setback.reason, wait)
        if setback.kind == "busy":
            endpoint.rests_until = max(endpoint.rests_until, monotonic() + wait)
            return 0.0
        endpoint.failures += 1
        if endpoint.failures == LEFT_AFTER and self.alive != [endpoint]:
            self.leave(endpoint, f"failed {LEFT_AFTER} times in a row")
        return wait

    async def _attempt(self, endpoint: Endpoint, request: Request, body: Body) -> Reply:
        """Ask once; raises `Setback` where asking again may help."""
        limit_key = self._limit_key
        status, after, text = await self._exchange(endpoint, "chat/completions", self._sent(body))
        data = _parsed(text)
        if status == 200:
            try:
                return reply_of(self._model, request, data)
            except Malformed as error:
                raise Setback("broken", str(error)) from None
            except EngineError as error:
                said = self._scrubber.clean(str(error))
                raise EngineError(f"[models.{self._name}] {endpoint.address}: {said}") from None
        if status < 500 and is_filter(data):
            return Reply(filtered(request), "", "")
        said = self._said(request, data, text)
        if status in AGAIN or status >= 500:
            kind: Kind = "busy" if status in BUSY else "broken"
            raise Setback(kind, f"status {status}{said}", retry_after(after))
        if "max_completion_tokens" in said and limit_key == "max_tokens":
            self._limit_key = "max_completion_tokens"
            return await self._attempt(endpoint, request, body)
        raise Rejected(self._refusal(endpoint, request, status, said))

    def _refusal(self, endpoint: Endpoint, request: Request, status: int, said: str) -> str:
        """Say what a server does not accept, and what to do."""
        if status in (401, 403):
            have = "is set" if self._key else "is not set"
            hint = f"give a valid key in {self._model.key_env}, which {have}"
        elif status == 404:
            hint = (
                f'see that the server has the model "{self._model.model}" and url ends as it should'
            )
        elif 300 <= status < 400:
            hint = "the server sends elsewhere; write the address it sends to"
        else:
            hint = f"it does not accept prompt {request.prompt.id} with these settings"
        return f"[models.{self._name}] {endpoint.address}: status {status}{said}; {hint}"

    def _said(self, request: Request, data: object, text: str) -> str:
        """Return the server's own words, ready to append."""
        said = complaint_of(data) if data is not None else text
        prompt = request.prompt
        parts = [turn.text for turn in prompt.turns] + [prompt.phrase, prompt.prefill]
        cleaned = self._scrubber.clean(said, [*parts, self._model.system or ""])
        return f" ({cleaned})" if cleaned else ""

    def _sent(self, body: Body) -> Body:
        if self._limit_key == "max_tokens":
            return body
        return {self._limit_key if key == "max_tokens" else key: v for key, v in body.items()}

    async def _exchange(
        self, endpoint: Endpoint, path: str, body: Body | None
    ) -> tuple[int, str | None, str]:
        """Post or get once and return status, Retry-After and body; errors become setbacks."""
        import aiohttp
        from yarl import URL

        assert self._session is not None
        url = URL(endpoint.address.to(path), encoded=True)
        who = endpoint.address.basic or (f"Bearer {self._key}" if self._key else "")
        headers = {"Authorization": who} if who else {}
        data = None if body is None else json.dumps(body).encode()
        most = self._model.timeout if body is not None else LISTING_SECONDS
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                "GET" if data is None else "POST",
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=min(most, self._model.timeout), sock_connect=CONNECT_SECONDS
                ),
            ) as answer:
                content = await answer.read()
                after = answer.headers.get("Retry-After")
                return answer.status, after, content.decode("utf-8", "replace")
        except aiohttp.ServerTimeoutError:
            raise Setback("gone", f"no connection within {CONNECT_SECONDS:g} s") from None
        except TimeoutError:
            reason = f"no answer within {self._model.timeout:g} s"
            raise Setback("late", reason) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Setback("gone", self.words_of(error)) from None


def _parsed(text: str) -> object:
    """Read JSON; None for what is none."""
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data
