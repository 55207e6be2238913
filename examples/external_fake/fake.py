"""A lip-sync method that is none: it shows, and tests, what lipbench asks of an external method.

    python fake.py BEHAVIOR --video IN.mp4 --audio IN.wav --out OUT.mp4

copy       returns its input (lipbench notices: nothing was lip-synced)
freeze     the first frame, all the time
shift      the frames six later
recode     its input, encoded again: as useless as copy, only harder to notice
short      half of the frames
quarter    a 1/2-size video, one frame later (for the post steps)
frames     a folder of images instead of a video
crash      ends with code 3                 crash_hard   ends with a segmentation fault
hang       never ends, and starts a child that does not either; stubborn ones ignore SIGTERM too
no_face    says so and ends with code 1     no_face_quiet   says so and ends with code 0
oom        says that the GPU's memory is full
garbage    writes bytes that are no video   no_output   writes nothing

Standard library only, but for the behaviors that touch frames: those use PyAV.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time


def frames_of(video):
    import av

    with av.open(video) as container:
        return float(container.streams.video[0].average_rate), [
            f.to_ndarray(format="rgb24") for f in container.decode(video=0)
        ]


def write(out, fps, frames, crf="18"):
    import av

    with av.open(out, "w") as container:
        stream = container.add_stream("libx264", rate=round(fps), options={"crf": crf})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def redraw(behavior, video, out):
    fps, frames = frames_of(video)
    if behavior == "freeze":
        frames = frames[:1] * len(frames)
    elif behavior == "shift":
        frames = frames[:1] * 6 + frames[:-6]
    elif behavior == "short":
        frames = frames[: len(frames) // 2]
    elif behavior == "quarter":
        frames = [frame[::2, ::2].copy() for frame in frames[:1] + frames[:-1]]
    write(out, fps, frames, crf="23" if behavior == "recode" else "18")


def images(video, out):
    import av

    os.makedirs(out)
    _, frames = frames_of(video)
    for number, frame in enumerate(reversed(frames)):
        with av.open(os.path.join(out, f"{number}.png"), "w", format="image2") as container:
            stream = container.add_stream("png", rate=25)
            stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))


def hang(stubborn):
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    with open(os.environ.get("FAKE_PIDS", os.devnull), "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    print("hanging", flush=True)
    time.sleep(3600)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("behavior")
    parser.add_argument("--video", required=True)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for path in (args.video, args.audio):
        if not os.path.exists(path):
            sys.exit("no input " + path)

    if args.behavior == "copy":
        shutil.copyfile(args.video, args.out)
    elif args.behavior in ("freeze", "shift", "recode", "short", "quarter"):
        redraw(args.behavior, args.video, args.out)
    elif args.behavior == "frames":
        images(args.video, args.out)
    elif args.behavior == "crash":
        sys.exit(3)
    elif args.behavior == "crash_hard":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif args.behavior in ("hang", "stubborn"):
        hang(args.behavior == "stubborn")
    elif args.behavior in ("no_face", "no_face_quiet"):
        print("Face not detected! Ensure the video contains a face in all the frames.")
        sys.exit(1 if args.behavior == "no_face" else 0)
    elif args.behavior == "oom":
        sys.exit("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB")
    elif args.behavior == "garbage":
        with open(args.out, "wb") as file:
            file.write(os.urandom(4096))
    elif args.behavior != "no_output":
        parser.error("no such behavior: " + args.behavior)


if __name__ == "__main__":
    main()
