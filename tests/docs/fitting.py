import clip
import numpy as np

clip.find_faces_offline()
clip.write("clip.mp4")
dubbed_frames, dubbed_track = clip.FRAMES, clip.TRACK
index = np.array([0, 1, 2, 1])
longer_frames, longer_track = clip.FRAMES[index], clip.TRACK.take(index)


def afterwards():
    assert len(fit.expression) == clip.N_FRAMES
    assert len(dub.expression) == len(index)
    assert report(fit).landmark_px < 2
