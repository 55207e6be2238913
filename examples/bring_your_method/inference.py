"""Stands for a repository that somebody found: a lip-sync program with habits that such programs have.

    python inference.py --face IN.mp4 --audio IN.wav --outfile OUT.mp4 [--strength 0.8] [--seed 0]

It knows no face: it pulls the lower half of the picture down where the sound is loud. Its windows end three frames
before the sound does, and a temporary file of another name lies beside the result for a while.
"""

import argparse
import os
import wave

import av
import numpy as np

WINDOW = 4  # frames


def loudness(path, n):
    """(n,) of the sound under each frame, 0 to 1."""
    with wave.open(path) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float64)
    parts = np.array_split(samples, n)
    found = np.array([np.sqrt(np.mean(part**2)) if len(part) else 0.0 for part in parts])
    return found / max(found.max(), 1e-9)


def redraw(image, opening):
    """The picture with its lower half pulled down by up to a tenth of its height."""
    height = image.shape[0]
    rows = np.arange(height)
    lower = np.clip((rows - height / 2) / (height / 2), 0, 1)
    source = np.clip(rows - opening * 0.1 * height * lower, 0, height - 1).round().astype(int)
    return image[source]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--face", required=True)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--outfile", required=True)
    parser.add_argument("--strength", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with av.open(args.face) as video:
        rate = video.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    if not frames:
        raise ValueError("Face not detected!")
    opening = args.strength * loudness(args.audio, len(frames))
    draft = args.outfile + ".silent.mp4"
    with av.open(draft, "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for k in range(len(frames) - WINDOW + 1):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(redraw(frames[k], opening[k]), format="rgb24")))
        out.mux(stream.encode(None))
    os.replace(draft, args.outfile)


if __name__ == "__main__":
    main()
