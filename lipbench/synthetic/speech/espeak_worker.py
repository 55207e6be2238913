"""The espeak-ng process: a program of its own, run as `python espeak_worker.py`; nothing of lipbench is imported.

espeak-ng is GPL-3.0-or-later. Its library is loaded here and nowhere else, in a process of its own that exchanges text
for sound over pipes. One JSON request per line on stdin:

    {"text": ..., "voice": "en-us+m3", "rate": 160, "pitch": 50, "range": 50}

One answer per request on stdout: a JSON line, followed by `samples` little-endian int16 samples:

    {"samples": n, "rate": 22050, "phonemes": [[sample, "ˈaɪ"], ...], "words": [[sample, position, length], ...]}

or {"error": ...}. The library is the one of the `espeakng-loader` wheel (espeak-ng 1.52). Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

# speak_lib.h of espeak-ng 1.52
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1
_SEED = 1


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Library:
    """espeak-ng through its C interface; one per process."""

    def __init__(self) -> None:
        from importlib import import_module

        espeakng_loader = import_module("espeakng_loader")

        self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self.lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self.lib.espeak_Synth.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        # The path is given explicitly: the library's built-in one is that of the machine it was built on.
        self.rate = self.lib.espeak_Initialize(
            _SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        )
        if self.rate <= 0:
            raise RuntimeError(f"espeak_Initialize answered {self.rate}")
        self.lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self.pcm: list[bytes] = []
        self.phonemes: list[tuple[int, str]] = []
        self.words: list[tuple[int, int, int]] = []
        self.callback = _Callback(self._collect)
        self.lib.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.pcm.append(ctypes.string_at(samples, count * 2))
        i = 0
        while events[i].type != _EVENT_END:
            event = events[i]
            if event.type == _EVENT_PHONEME:
                # char[8]: a long name can be cut within a character.
                name = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self.phonemes.append((event.sample, name))
            elif event.type == _EVENT_WORD:
                self.words.append((event.sample, event.text_position, event.length))
            i += 1
        return 0

    def say(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self.pcm, self.phonemes, self.words = [], [], []
        if self.lib.espeak_SetVoiceByName(str(request["voice"]).encode()) != 0:
            return {"error": f"espeak-ng has no voice {request['voice']!r}"}, b""
        for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
            self.lib.espeak_SetParameter(parameter, int(request[name]), 0)
        # The breath of some variants is noise, which the library seeds by the clock.
        self.lib.espeak_ng_SetRandSeed(_SEED)
        text = str(request["text"]).encode()
        status = self.lib.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
        pcm = b"".join(self.pcm)
        if status != 0 or not pcm:
            return {"error": f"espeak_Synth answered {status} and {len(pcm)} bytes"}, b""
        facts = {"samples": len(pcm) // 2, "rate": self.rate, "phonemes": self.phonemes, "words": self.words}
        return facts, pcm


def _fresh(act: Callable[[], None]) -> None:
    """Run in a copy of this process.

    The library keeps some state from text to text that its initialisation does not reset: said in a copy, a text sounds
    the same whatever was said before. Windows has no such copies; there the sound depends on the order of the requests.

    Raises:
        RuntimeError: the copy failed.
    """
    if not hasattr(os, "fork"):
        act()
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("espeak-ng ended while it spoke")


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until stdin ends."""
    try:
        library: Library | None = Library()
        fault = ""
    except (ImportError, OSError, RuntimeError) as error:
        library, fault = None, f"{type(error).__name__}: {error}"
    for line in requests:

        def answer(request: bytes = line) -> None:
            header, pcm = library.say(json.loads(request)) if library else ({"error": fault}, b"")
            answers.write(json.dumps(header).encode() + b"\n" + pcm)
            answers.flush()

        _fresh(answer)


if __name__ == "__main__":
    # espeak-ng may print to stdout; the answers keep the real one to themselves.
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, pipe)
