"""Whether two video files show the same picture, told without decoding them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lipbench.core.errors import NoVideo
from lipbench.media.opening import open_input, reading, skip_others, tags, video_stream


def image_sha256(path: str | Path) -> str:
    """The hash of a video stream as it is coded, 64 hex digits: equal for a copy of it under another sound.

    Time stamps are not part of it: it tells frames and their order. Equal pictures that were coded otherwise differ.

    Raises:
        MediaError: missing, empty, or unreadable.
        NoVideo: there is only sound.
    """
    path = Path(path)
    digest = hashlib.sha256()
    with open_input(path) as container, reading(path):
        stream = video_stream(container)
        if stream is None:
            raise NoVideo(f"{path} has no video", "", "give a video file")
        skip_others(container, stream)
        codec = stream.codec_context
        # How the coded samples are to be shown, as far as it stands beside them.
        shown = (codec.name, codec.width, codec.height, codec.pix_fmt, int(codec.color_range), int(codec.colorspace))
        digest.update(repr((*shown, tags(stream).get("rotate"))).encode() + bytes(codec.extradata or b""))
        for packet in container.demux(stream):
            digest.update(f" {packet.size} ".encode() + bytes(packet))
    return digest.hexdigest()
