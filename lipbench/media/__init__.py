"""Video and sound files: the only reader and writer.

Frames are (H, W, 3) uint8 RGB, upright; sound is (N,) int16 mono. Time 0 is the moment the first frame is shown.
How frames are picked at another rate stands in `media.clock`, how colors are converted in `media.picture`.
"""

from lipbench.media.align import NormalizedClip, Overlay, lay_over, normalize_clip, ping_pong
from lipbench.media.audio import AudioTrack, load_audio, read_audio
from lipbench.media.probe import AudioInfo, MediaInfo, probe
from lipbench.media.read import load_frames, read_frames
from lipbench.media.wav import read_wav, write_wav
from lipbench.media.write import VideoWriter, is_synthetic, remux, write_video

__all__ = [
    "AudioInfo",
    "AudioTrack",
    "MediaInfo",
    "NormalizedClip",
    "Overlay",
    "VideoWriter",
    "is_synthetic",
    "lay_over",
    "load_audio",
    "load_frames",
    "normalize_clip",
    "ping_pong",
    "probe",
    "read_audio",
    "read_frames",
    "read_wav",
    "remux",
    "write_video",
    "write_wav",
]
