"""Rows of videos in the form that the page's template and its script take."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.reports.html import videos
from lipbench.reports.html.grid import GridRow, Tile

#: What a video of a role shows, below its title.
ROLES = {"truth": "the correct video", "source": "picture untouched"}
LEFT_OUT = "left out to keep the file small"


def row_view(
    row: GridRow, leading: Sequence[str], album: videos.Album, single: bool, blobs: dict[str, str]
) -> dict[str, Any]:
    """A row for the template.

    Args:
        leading: metrics whose numbers are not folded away.
        blobs: name -> base64; grows by the row's videos where the page is a single file.
    """
    tiles = [
        {
            **_tile_view(row, i, tile, album, single, blobs),
            "leading": [value for name in leading for value in tile.values if value[0] == name],
            "others": [value for value in tile.values if value[0] not in leading],
        }
        for i, tile in enumerate(row.tiles)
    ]
    shown = [tile for tile in tiles if tile["src"] or tile["blob"]]
    length = min((tile["frames"] / tile["fps"] for tile in shown), default=0.0)
    return {
        "key": row.key,
        "title": row.title,
        "transcript": row.transcript,
        "language": row.language,
        "tiles": tiles,
        "sounds": [(start, end, sound) for start, end, sound in row.sounds if sound and end > 0 and start < length],
        "length": length,
        "base": row.base,
        "mouth": row.mouth is not None and bool(shown),
        "pairs": len(shown) > 1,
    }


def _tile_view(
    row: GridRow, i: int, tile: Tile, album: videos.Album, single: bool, blobs: dict[str, str]
) -> dict[str, Any]:
    preview = None if tile.video is None else album.previews.get(tile.video)
    view: dict[str, Any] = {
        "id": f"{row.key}-{i}",
        "title": tile.title,
        "kind": tile.kind,
        "role": ROLES.get(tile.role, "reference, not ranked" if tile.kind == "control" else ""),
        "why": tile.why,
        "series": bool(tile.series),
        "src": None,
        "blob": None,
        "poster": None,
        "alt": f"{tile.title}, {row.title}",
    }
    if preview is None:
        return view if tile.video is None or tile.why else {**view, "why": LEFT_OUT}
    view |= {
        "width": preview.width,
        "height": preview.height,
        "fps": preview.fps,
        "frames": preview.n_frames,
        "poster": videos.data_uri(preview.poster, "image/jpeg"),
    }
    if preview.video is None:
        view["why"] = LEFT_OUT
    elif single:
        name = preview.video.stem
        blobs.setdefault(name, videos.data_uri(preview.video.read_bytes(), "video/mp4").split(",", 1)[1])
        view["blob"] = name
    else:
        view["src"] = f"media/{preview.video.name}"
    return view


def row_data(rows: Sequence[GridRow]) -> dict[str, Any]:
    """What the page's script needs of the rows: values per frame, how bad the worst is, where mouths are."""
    series = {
        f"{row.key}-{i}": {name: compact(v) for name, v in tile.series.items()}
        for row in rows
        for i, tile in enumerate(row.tiles)
        if tile.series
    }
    mouths = {
        row.key: {"size": [row.mouth.width, row.mouth.height], "at": row.mouth.corners.ravel().tolist()}
        for row in rows
        if row.mouth is not None
    }
    # JSON has no infinity; ordering only needs something very large.
    worst = {row.key: {name: min(max(v, -1e30), 1e30) for name, v in row.worst.items()} for row in rows}
    return {"series": series, "worst": worst, "mouths": mouths}


def compact(values: NDArray[np.float64]) -> list[float | None]:
    """(T,) -> numbers of four digits; None where there is none or it is not finite."""
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values]


def script_json(data: Any) -> str:
    """JSON that cannot end the <script> element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
