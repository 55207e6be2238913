"""A method behind HTTP: what is sent, what is waited for, whose secrets go where, how often it is asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from lipbench import media
from lipbench.baselines.external import load_external
from lipbench.baselines.external.config_env import Limit
from lipbench.baselines.external.method import ExternalMethod
from lipbench.baselines.external.service import transport
from lipbench.baselines.external.service.rate import turn
from lipbench.cli.doctor_external import external_needs
from lipbench.core.errors import LipbenchError, ManifestError, Refused
from lipbench.core.method import DubJob

TOKEN = "s3cret-of-the-test"
Reply = tuple[int, dict[str, str], bytes]


class Host:
    """A service on this machine: `routes` answer, `asked` keeps what came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.routes: dict[str, Callable[..., Reply]] = {"/version": lambda: ok({"version": "1.4"})}
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                host.asked.append((self.command, self.path, dict(self.headers), body))
                route = host.routes.get(self.path)
                status, headers, content = route() if route else (404, {}, b"no such place")
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def of(self, path: str) -> list[dict[str, str]]:
        """Headers of all requests to a path."""
        return [headers for _, seen, headers, _ in self.asked if seen == path]


def ok(answer: Any) -> Reply:
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """20 frames of one color, 96 x 80."""
    path = tmp_path_factory.mktemp("v") / "v.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        for _ in range(20):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((80, 96, 3), 200, np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture
def service(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ExternalMethod]:
    """service(env={...}, request={...}, **fields): the method of a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPS_TOKEN", TOKEN)
    monkeypatch.setattr("lipbench.baselines.external.service.client.time.sleep", lambda s: None)
    monkeypatch.setattr(transport.time, "sleep", lambda s: None)

    def make(env: dict[str, Any] | None = None, request: dict[str, Any] | None = None, **fields: Any) -> ExternalMethod:
        content = {
            "name": "remote",
            "env": {
                "type": "http",
                "url": host.url,
                "pass": ["LIPS_TOKEN"],
                "headers": {"Authorization": "Bearer ${LIPS_TOKEN}"},
                "service": {"path": "/version", "field": "version"},
                **(env or {}),
            },
            "request": {"path": "/dub", "files": {"face": "{video}", "speech": "{audio}"}, **(request or {})},
            "needs": {"faces": False},
            **fields,
        }
        file = tmp_path / "remote.yaml"
        file.write_text(yaml.safe_dump(content))
        return load_external(file)

    return make


def test_the_answer_is_the_video(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    host.routes["/dub"] = lambda: (200, {"Content-Type": "video/mp4"}, video)
    made = service(request={"fields": {"model": "lips-2", "seed": "{seed}"}})
    result = made.synthesize(make_job(made.spec.params(), seed=5))
    assert media.probe(result.files["video"]).n_frames == 20
    assert (result.info["service"], result.info["env"], result.info["url"]) == ("1.4", "http", host.url)
    _, _, headers, body = next(a for a in host.asked if a[1] == "/dub")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    parts = body.split(b"--" + headers["Content-Type"].partition("boundary=")[2].encode())
    assert [p.split(b"\r\n\r\n")[0].split(b'name="')[1].split(b'"')[0] for p in parts[1:-1]] == [
        b"model",
        b"seed",
        b"face",
        b"speech",
    ]
    assert parts[2].strip().endswith(b"\r\n5")
    wav = parts[4].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
    assert wav == make_job(None).dub.audio.read_bytes()
    assert TOKEN not in result.files["stdout"].read_text()
    assert f"sent to {host.url}" in made.spec.deviations[-1]


def test_a_container_with_predictions(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    uri = "data:video/mp4;base64," + base64.b64encode(video).decode()
    host.routes["/predictions"] = lambda: ok({"status": "succeeded", "output": [uri]})
    request = {
        "path": "/predictions",
        "body": "json",
        "files": {"input.face": "{video}", "input.audio": "{audio}"},
        "fields": {"input": {"steps": 20, "fps": "{fps}"}},
        "video": "output.0",
    }
    made = service(request=request)
    assert made.synthesize(make_job(made.spec.params())).info["n_frames"] == 20
    sent = json.loads(next(a for a in host.asked if a[1] == "/predictions")[3])["input"]
    assert (sent["steps"], sent["fps"]) == (20, "25")
    assert base64.b64decode(sent["audio"].partition(",")[2]) == make_job(None).dub.audio.read_bytes()
    assert sent["face"].startswith("data:video/mp4;base64,")


def test_a_job_that_is_waited_for_and_fetched_from_another_host(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    other = Host()
    other.routes["/result.mp4"] = lambda: (200, {}, video)
    states = iter(["queued", "running", "done"])

    def state() -> Reply:
        word = next(states)
        return ok({"state": {"name": word}, "result": {"url": f"{other.url}/result.mp4"} if word == "done" else None})

    host.routes |= {"/dub": lambda: ok({"job": {"id": "a/7"}}), "/jobs/a%2F7": state}
    wait = {"id": "job.id", "path": "/jobs/{job}", "status": "state.name"}
    made = service(request={"wait": wait, "video": "result.url"})
    assert made.synthesize(make_job(made.spec.params())).info["n_frames"] == 20
    assert [h["Authorization"] for h in host.of("/jobs/a%2F7")] == [f"Bearer {TOKEN}"] * 3
    assert all("Authorization" not in headers for headers in other.of("/result.mp4"))
    assert len(other.of("/result.mp4")) == 1
    other.server.shutdown()
    other.server.server_close()


def test_a_redirect_takes_no_secret_along(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    other = Host()
    other.routes["/elsewhere"] = lambda: (200, {}, video)
    host.routes |= {
        "/dub": lambda: ok({"output": f"{host.url}/here"}),
        "/here": lambda: (302, {"Location": f"{other.url}/elsewhere"}, b""),
    }
    made = service(request={"video": "output"})
    made.synthesize(make_job(made.spec.params()))
    assert host.of("/here")[0]["Authorization"] == f"Bearer {TOKEN}"
    assert [h.get("Authorization") for h in other.of("/elsewhere")] == [None]
    other.server.shutdown()
    other.server.server_close()


def test_the_version_is_part_of_the_key(service: Callable[..., ExternalMethod], host: Host) -> None:
    made = service()
    assert made.identity(None, "c", "fr") == {"service": "1.4"}
    host.routes["/version"] = lambda: ok({"version": "1.5"})
    assert made.identity(None, "c", "fr") == {"service": "1.5"}
    assert service(env={"service": "2025-06"}).identity(None, "c", "fr") == {"service": "2025-06"}

    def read(**fields: Any) -> Any:
        made = service(**fields)
        return made.stage_inputs("synthesize", made.spec.params())

    assert read(env={"limit": {"per_minute": 3}}) == read()
    assert read(env={"url": "http://localhost:1"}) != read()
    assert read(request={"fields": {"steps": 9}}) != read()
    assert TOKEN not in str(read())
    host.routes["/version"] = lambda: ok({"name": "x"})
    with pytest.raises(Refused, match="does not say which version it is"):
        made.identity(None, "c", "fr")


def test_a_version_that_changes_meanwhile(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    versions = iter(["1.4", "1.5"])
    host.routes |= {"/version": lambda: ok({"version": next(versions)}), "/dub": lambda: (200, {}, video)}
    made = service()
    with pytest.raises(LipbenchError, match="another version while it worked") as caught:
        made.synthesize(make_job(made.spec.params()))
    assert caught.value.kept is False


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        ((401, {}, json.dumps({"error": f"bad token {TOKEN}"}).encode()), "service_refused", "bad token ${LIPS_TOKEN}"),
        ((422, {}, b'{"error": "face not detected"}'), "no_face", "face not detected"),
        ((422, {}, b'{"error": "speech longer than 30 s"}'), "too_long", "speech longer than 30 s"),
        ((500, {}, b"<html>oops"), "service_failed", "<html>oops"),
        ((200, {}, b"<html>welcome</html>"), "bad_output", "cannot be read"),
        ((200, {}, b""), "bad_output", ""),
    ],
)
def test_what_it_answers_otherwise(
    service: Callable[..., ExternalMethod],
    host: Host,
    make_job: Callable[..., DubJob],
    reply: Reply,
    reason: str,
    said: str,
) -> None:
    host.routes["/dub"] = lambda: reply
    made = service(failures={"too_long": "longer than"})
    with pytest.raises(LipbenchError) as caught:
        made.synthesize(make_job(made.spec.params()))
    assert caught.value.reason == reason
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(host.of("/dub")) == 1  # what may have been begun, and paid for, is not asked again


def test_a_failed_job(service: Callable[..., ExternalMethod], host: Host, make_job: Callable[..., DubJob]) -> None:
    host.routes |= {"/dub": lambda: ok({"id": 3}), "/jobs/3": lambda: ok({"status": "failed", "error": "GPU lost"})}
    made = service(request={"wait": {"id": "id", "path": "/jobs/{job}"}, "video": "output"})
    with pytest.raises(LipbenchError) as caught:
        made.synthesize(make_job(made.spec.params()))
    assert (caught.value.reason, caught.value.why) == ("service_failed", "GPU lost")


def test_a_busy_service_is_asked_again(
    service: Callable[..., ExternalMethod], host: Host, video: bytes, make_job: Callable[..., DubJob]
) -> None:
    replies: Iterator[Reply] = iter([(429, {"Retry-After": "1"}, b""), (503, {}, b""), (200, {}, video)])
    host.routes["/dub"] = lambda: next(replies)
    made = service()
    assert made.synthesize(make_job(made.spec.params())).info["n_frames"] == 20
    assert len(host.of("/dub")) == 3


def test_the_time_limit_holds(
    service: Callable[..., ExternalMethod], host: Host, make_job: Callable[..., DubJob]
) -> None:
    host.routes |= {"/dub": lambda: ok({"id": 3}), "/jobs/3": lambda: ok({"status": "running"})}
    made = service(request={"wait": {"id": "id", "path": "/jobs/{job}"}, "video": "output"}, timeout_s=0.5)
    with pytest.raises(LipbenchError) as caught:
        made.synthesize(make_job(made.spec.params()))
    assert caught.value.reason == "timeout"


def test_nobody_there_and_no_secret(
    service: Callable[..., ExternalMethod], host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused) as caught:
        service(env={"url": "http://127.0.0.1:9"}).identity(None, "c", "fr")
    assert (caught.value.reason, caught.value.kept) == ("env_missing", False)
    monkeypatch.delenv("LIPS_TOKEN")
    with pytest.raises(Refused, match="needs the variable LIPS_TOKEN"):
        service().identity(None, "c", "fr")
    assert host.asked == []


def test_doctor_asks_for_the_version(service: Callable[..., ExternalMethod], host: Host) -> None:
    located = service().located
    assert [(c.what, c.state) for c in external_needs(located)] == [(f"service {host.url}", "ok")]
    host.routes["/version"] = lambda: (403, {}, b"no")
    (check,) = external_needs(located)
    assert (check.state, "403 Forbidden: no" in check.detail) == ("missing", True)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"headers": {"Authorization": "Bearer abc"}}, "write ${NAME} and `pass: [NAME]`"),
        ({"headers": {"X-Api-Key": "abc"}}, "a secret does not stand in the file"),
        ({"pass": []}, "add `pass: [LIPS_TOKEN]`"),
        ({"url": "http://lips.example"}, "use https://"),
        ({"url": "https://a:b@lips.example"}, "a secret has no place in one"),
        ({"url": "ftp://lips.example"}, "is no address of a service"),
        ({"service": ""}, "must not be taken for each other"),
        ({"type": "none"}, "has no url, headers or service"),
    ],
)
def test_what_a_service_may_not_say(service: Callable[..., ExternalMethod], env: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        service(env=env)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"argv": ["x"]}, "give either argv (a command) or entry"),
        ({"request": {"files": {"a": "{out}"}}}, "{video} or {audio}"),
        ({"request": {"wait": {"id": "id", "path": "/jobs"}, "video": "o"}}, "put `{job}` into it"),
        ({"request": {"wait": {"id": "id", "path": "/jobs/{job}"}}}, "add `video: output`"),
        ({"before": [["x"]]}, "a service runs no commands"),
    ],
)
def test_what_a_request_may_not_say(service: Callable[..., ExternalMethod], fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        service(**fields)
    assert said in str(caught.value)


def test_starts_are_spread_and_places_counted(tmp_path: Path) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) > 3:
            raise TimeoutError
        time.sleep(0.001)

    limit = Limit(per_minute=60, at_once=2)
    with turn(tmp_path, limit, wait):
        assert waited == []
        with pytest.raises(TimeoutError), turn(tmp_path, limit, wait):  # the second start waits its second
            pass
        assert 0.9 < waited[0] <= 1.0
        free = Limit(at_once=2)
        waited.clear()
        with turn(tmp_path, free, wait):
            assert waited == []
            with pytest.raises(TimeoutError), turn(tmp_path, free, wait):  # both places are taken
                pass
            assert set(waited) == {0.2}
    waited.clear()
    with turn(tmp_path, free, wait):
        assert waited == []
