clips, seconds = 1, 2.0


def afterwards():
    assert clip.frames["fr"].shape == (50, 256, 256, 3)
    assert len(clip.takes["fr"][1].audio) == 32000
