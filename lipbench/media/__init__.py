"""Video and sound files: the only reader and writer.

Frames are (H, W, 3) uint8 RGB, upright; sound is (N,) int16 mono. Time 0 is the moment the first frame is shown.
How frames are picked at another rate stands in `media.clock`, how colors are converted in `media.pixels`.
"""

from lipbench.media.align import AlignedClip, NormalizedClip, normalize_clip, ping_pong, retime_to_audio
from lipbench.media.color import ColorFacts, color_facts
from lipbench.media.held import hold
from lipbench.media.image_series import digest, present
from lipbench.media.level import silence
from lipbench.media.packets import image_sha256
from lipbench.media.probe import AudioInfo, MediaInfo, on_grid, probe
from lipbench.media.read import load_frames, read_frames
from lipbench.media.streams import SoundChoice
from lipbench.media.track import AudioTrack, load_audio, read_audio
from lipbench.media.wav import read_wav, write_wav
from lipbench.media.write import VideoWriter, is_synthetic, remux, write_video

__all__ = [
    "AlignedClip",
    "AudioInfo",
    "AudioTrack",
    "ColorFacts",
    "MediaInfo",
    "NormalizedClip",
    "SoundChoice",
    "VideoWriter",
    "color_facts",
    "digest",
    "hold",
    "image_sha256",
    "is_synthetic",
    "load_audio",
    "load_frames",
    "normalize_clip",
    "on_grid",
    "ping_pong",
    "present",
    "probe",
    "read_audio",
    "read_frames",
    "read_wav",
    "remux",
    "retime_to_audio",
    "silence",
    "write_video",
    "write_wav",
]
