"""Requests to a service: its secrets, its time limit, its refusals in our words."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from lipbench.baselines.external import failures
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.config_env import LOOPBACK, SECRET
from lipbench.baselines.external.output import bad_output
from lipbench.baselines.external.service.answer import at
from lipbench.baselines.external.service.rate import timed_out
from lipbench.core.errors import LipbenchError, NoFace, Refused

#: Seconds without a byte after which a connection counts as dead.
SILENCE_S = 120.0
#: Bytes of an answer that are read, of one about an error and of any other.
TEXT, VIDEO = 1 << 20, 4 << 30
#: Answers to a question that was not taken in: it may be asked again.
_BUSY = frozenset({429, 503})
_TRIES = 5


class Transport:
    """One conversation with a service, which ends in time.

    Args:
        definition: the method file.
        limit_s: seconds from now.
    """

    def __init__(self, definition: Definition, limit_s: float) -> None:
        self.definition, self.env, self.limit_s = definition, definition.env, limit_s
        self._deadline = time.monotonic() + limit_s

    def text(self, method: str, url: str) -> str:
        """The answer to a question as text."""
        return self.retried(method, url, None)

    def retried(self, method: str, url: str, target: Path | None) -> str:
        """The answer to a question that changes nothing there: it may be asked again.

        Args:
            method: of HTTP.
            url: where.
            target: takes the answer instead.

        Raises:
            LipbenchError: as `ask`; reason "service_failed", it stays busy.
        """
        for left in reversed(range(_TRIES)):
            try:
                return self.ask(method, url, None, {}, target)
            except Busy as busy:
                if not left:
                    raise self.failed("it is busy", str(busy)) from busy
                self.wait(busy.after_s or 2.0 ** (_TRIES - left))
        raise AssertionError("unreachable")

    def ask(self, method: str, url: str, body: IO[bytes] | None, more: Mapping[str, str], target: Path | None) -> str:
        """One request. The secrets go to the service's own host and to no other.

        Args:
            method: of HTTP.
            url: where.
            body: what is sent.
            more: further headers.
            target: takes the answer; then "" is returned.

        Raises:
            Busy: it was not taken in.
            LipbenchError: reason "service_refused", "service_failed", "timeout", or one of the file's `failures`.
        """
        ours = _host(url) == _host(self.env.url)
        headers = {"User-Agent": "lipbench", **(self._headers() if ours else {}), **more}
        asked = urllib.request.Request(url, data=body, headers=headers, method=method)
        limit = max(0.1, min(SILENCE_S, self._deadline - time.monotonic()))
        try:
            with closing(_opener(url).open(asked, timeout=limit)) as reply:
                if target is None:
                    return str(self._read(reply, VIDEO).decode("utf-8", "replace"))
                with open(target, "wb") as file:
                    self._read(reply, VIDEO, file)
                return ""
        except urllib.error.HTTPError as error:
            words = error.read(TEXT).decode("utf-8", "replace")
            if error.code in _BUSY:
                raise Busy(f"{error.code} {error.reason}", error.headers.get("Retry-After")) from None
            raise self._answered(error.code, str(error.reason), words) from None
        except TimeoutError:
            self.wait(0)
            raise self.failed("it went silent", f"no byte for {limit:.0f} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise self.failed("it cannot be reached", str(getattr(error, "reason", error))) from None

    def _read(self, reply: Any, limit: int, file: IO[bytes] | None = None) -> bytes:
        kept, size = bytearray(), 0
        while block := reply.read(1 << 16):
            self.wait(0)
            size += len(block)
            if size > limit:
                raise self.failed("its answer does not end", f"more than {limit} bytes")
            if file is None:
                kept += block
            else:
                file.write(block)
        return bytes(kept)

    def _headers(self) -> dict[str, str]:
        """The file's headers with their secrets.

        Raises:
            Refused: reason "env_missing", one is not set.
        """

        def value(found: Any) -> str:
            name = str(found[1])
            if not os.environ.get(name):
                raise Refused(
                    f"{self.definition.name} needs the variable {name}",
                    "it is not set, and its service asks for it",
                    f"export {name}=...",
                    reason="env_missing",
                    kept=False,
                )
            return os.environ[name]

        return {name: SECRET.sub(value, text) for name, text in self.env.headers.items()}

    def address(self, path: str) -> str:
        """An address of the service; a whole one must be on its host."""
        if not path:
            return self.env.url
        if "://" in path:
            return path
        return self.env.url.rstrip("/") + "/" + path.lstrip("/")

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            LipbenchError: reason "timeout", the limit is reached.
        """
        left = self._deadline - time.monotonic()
        if left <= seconds:
            if seconds:
                time.sleep(max(0.0, min(left, seconds)))
            if self._deadline <= time.monotonic():
                raise timed_out(self.definition.name, self.limit_s)
        elif seconds:
            time.sleep(seconds)

    def _answered(self, code: int, reason: str, words: str) -> LipbenchError:
        request = self.definition.request
        said = at(parsed(words, {}), request.error if request else "error") or words.strip() or reason
        text = self._clean(f"{code} {reason}: {str(said)[:300]}")
        if (told := self.told(text)) is not None:
            return told
        if code >= 500:
            return self.failed("it answered with an error", text)
        fix = "look at the token" if code in (401, 403) else "correct `request` in the method file"
        return LipbenchError(
            f"{self.definition.name} refused the request", text, fix, reason="service_refused", kept=False
        )

    def told(self, words: str) -> LipbenchError | None:
        """The reason that the method file has for such words."""
        reason = failures.said(words, self.definition.failures)
        if reason is None:
            return None
        what = f"{self.definition.name} found no face" if reason == "no_face" else f"{self.definition.name} failed"
        kind = NoFace if reason == "no_face" else LipbenchError
        return kind(what, self._clean(words[:300]), "use another clip" if reason == "no_face" else "", reason=reason)

    def failed(self, what: str, why: str) -> LipbenchError:
        """The error for a service that does not work; no record keeps it."""
        return LipbenchError(
            f"the service of {self.definition.name}: {what}",
            self._clean(why[:300]),
            f"see whether {self.env.url} works, and run again",
            reason="service_failed",
            kept=False,
        )

    def _clean(self, text: str) -> str:
        """Without the secrets, whatever the service repeats of them."""
        for name in self.env.pass_on:
            if secret := os.environ.get(name):
                text = text.replace(secret, f"${{{name}}}")
        return text


class Busy(Exception):
    """The service did not take the question in.

    Args:
        words: what it said.
        after: the header Retry-After.
    """

    def __init__(self, words: str, after: str | None) -> None:
        super().__init__(words)
        self.after_s = float(after) if after is not None and after.isdigit() else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect of a GET; to another host without our headers, to another scheme never."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.get_method() != "GET" or not newurl.startswith(("https://", "http://")):
            return None
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and _host(newurl) != _host(req.full_url):
            for name in [*made.headers]:
                if name.lower() != "user-agent":
                    del made.headers[name]
        return made


def _opener(url: str) -> urllib.request.OpenerDirector:
    local = urllib.parse.urlsplit(url).hostname in LOOPBACK
    direct = [urllib.request.ProxyHandler({})] if local else []
    return urllib.request.build_opener(_Redirects(), *direct)


def _host(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def parsed(text: str, otherwise: Any = None) -> Any:
    """The JSON of an answer.

    Raises:
        LipbenchError: reason "bad_output", it is none and there is nothing to take otherwise.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        if otherwise is not None:
            return otherwise
        raise bad_output("the service's answer cannot be read", f"it is no JSON: {text[:80]!r}") from error
