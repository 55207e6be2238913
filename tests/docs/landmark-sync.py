import clip

from lipbench import media

N_FRAMES = 75

media.write_video(
    "clip.mp4",
    media.load_frames(clip.DEMO / "demo-en.mp4")[:N_FRAMES],
    clip.FPS,
    media.read_audio(clip.DEMO / "demo-en.mp4")[: N_FRAMES * 16000 // clip.FPS],
)
clip.find_faces_offline()


def afterwards():
    assert abs(found.offset.frames) <= 1
    assert found.offset.confidence > 0.5
    assert found.d < 0.7
