"""A method behind HTTP: its version, and one dub after the other."""

from __future__ import annotations

import json
import shutil
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipbench.baselines.external import placeholders
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.output import bad_output
from lipbench.baselines.external.places import services
from lipbench.baselines.external.service.answer import at, data_uri, from_data_uri, put
from lipbench.baselines.external.service.rate import turn
from lipbench.baselines.external.service.transport import Busy, Transport, parsed
from lipbench.baselines.external.workspace import Workspace
from lipbench.core.errors import LipbenchError, Refused

#: Seconds that a service may take to say which version it is.
VERSION_S = 30.0


class Service:
    """One service, as a method file describes it.

    Args:
        definition: with `env: {type: http}` and `request`.
        say: takes one line for each thing that passes.
    """

    def __init__(self, definition: Definition, say: Callable[[str], None] = lambda line: None) -> None:
        assert definition.env.type == "http"
        self.definition, self.env, self.say = definition, definition.env, say
        self.transport = Transport(definition, definition.timeout_s)

    def version(self) -> str:
        """What the service says it is, or what the method file says.

        Raises:
            Refused: reason "env_missing", it does not answer or a secret is not set; not kept.
        """
        where = self.env.service
        if isinstance(where, str):
            return where
        try:
            transport = Transport(self.definition, VERSION_S)
            said = transport.text("GET", transport.address(where.path))
        except LipbenchError as error:
            if isinstance(error, Refused):
                raise
            raise Refused(
                f"{self.definition.name} cannot say which version it is",
                error.why,
                error.fix,
                reason="env_missing",
                kept=False,
            ) from error
        version = at(parsed(said), where.field) if where.field else said.strip()
        if not isinstance(version, (str, int, float)) or version == "":
            raise Refused(
                f"{self.definition.name} does not say which version it is",
                f"{where.path} has nothing at {where.field or 'all'}",
                "correct `service` in the method file",
                reason="env_missing",
                kept=False,
            )
        return str(version)

    def dub(self, space: Workspace) -> dict[str, Any]:
        """One dub: `{out}` is there afterwards.

        Returns:
            wall_s, peak_rss_bytes (0) and service, its version.

        Raises:
            LipbenchError: reason "service_refused", "service_failed", "timeout", or one of the file's `failures`.
        """
        request = self.definition.request
        assert request is not None
        start, version = time.monotonic(), self.version()
        self.transport = Transport(self.definition, self.definition.timeout_s)
        host = urllib.parse.urlsplit(self.env.url).netloc.replace(":", "_")
        with turn(services() / host, self.env.limit, self.transport.wait):
            body, kind = self._body(space)
            target = Path(space.values["out"])
            reply = self._send(self.transport.address(request.path), body, kind, target if not request.video else None)
            if request.video:
                answer = parsed(reply)
                if request.wait is not None:
                    answer = self._waited(answer)
                self._fetch(at(answer, request.video), answer, target)
        if (now := self.version()) != version:
            raise LipbenchError(
                f"{self.definition.name} has become another version while it worked",
                f"it was {version}, it is {now}",
                "run again",
                reason="service_failed",
                kept=False,
            )
        return {"wall_s": round(time.monotonic() - start, 3), "peak_rss_bytes": 0, "service": version}

    # ---- what is sent ---------------------------------------------------------------------------------------------

    def _body(self, space: Workspace) -> tuple[Path, str]:
        """The body as a file, for it may be large, and its type."""
        request, values = self.definition.request, space.values
        assert request is not None
        files = {name: Path(placeholders.fill(text, values)) for name, text in request.files.items()}
        fields = _filled(request.fields, values)
        body = space.root / "request"
        if request.body == "json":
            for name, file in files.items():
                put(fields, name, data_uri(file))
            body.write_text(json.dumps(fields))
            return body, "application/json"
        edge = uuid.uuid4().hex
        with open(body, "wb") as out:
            for name, value in fields.items():
                text = value if isinstance(value, str) else json.dumps(value)
                out.write(f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode())
            for name, file in files.items():
                head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{file.name}"\r\n'
                out.write(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
                with open(file, "rb") as content:
                    shutil.copyfileobj(content, out)
                out.write(b"\r\n")
            out.write(f"--{edge}--\r\n".encode())
        return body, f"multipart/form-data; boundary={edge}"

    def _send(self, url: str, body: Path, kind: str, target: Path | None) -> str:
        """POST; what is answered, or with `target` a video that is put there. Asked again only if it was not taken."""
        pause = 2.0
        while True:
            self.say(f"POST {url}, {body.stat().st_size} bytes")
            with open(body, "rb") as content:
                more = {"Content-Type": kind, "Content-Length": str(body.stat().st_size)}
                try:
                    return self.transport.ask("POST", url, content, more, target)
                except Busy as busy:
                    self.say(f"it is busy ({busy}); waiting")
                    self.transport.wait(busy.after_s or pause)
                    pause = min(2 * pause, 60.0)

    def _waited(self, answer: Any) -> Any:
        """The last answer about a job."""
        request = self.definition.request
        assert request is not None
        assert request.wait is not None
        wait = request.wait
        job = at(answer, wait.id)
        if not isinstance(job, (str, int)) or job == "":
            raise self.transport.failed("it gave the job no id", f"nothing at {wait.id} of its answer")
        url = self.transport.address(wait.path.replace("{job}", urllib.parse.quote(str(job), safe="")))
        while True:
            answer = parsed(self.transport.text("GET", url))
            state = str(at(answer, wait.status))
            if state in wait.done:
                return answer
            if state in wait.failed:
                words = str(at(answer, request.error) or state)
                raise self.transport.told(words) or self.transport.failed("its job failed", words)
            self.transport.wait(wait.every_s)

    def _fetch(self, video: Any, answer: Any, target: Path) -> None:
        """Put the video of an answer into a file."""
        request = self.definition.request
        assert request is not None
        if not isinstance(video, str) or not video:
            words = str(at(answer, request.error) or f"nothing at {request.video} of its answer")
            raise self.transport.told(words) or bad_output("the service made no video", words[:300])
        if video.startswith("data:"):
            target.write_bytes(from_data_uri(video))
            return
        if urllib.parse.urlsplit(video).scheme not in ("http", "https"):
            raise bad_output("the service's video cannot be fetched", f"{video[:80]} is no web address")
        self.transport.retried("GET", video, target)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return placeholders.fill(value, values)
    if isinstance(value, dict):
        return {k: _filled(v, values) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(v, values) for v in value]
    return value
