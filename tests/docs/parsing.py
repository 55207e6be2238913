from types import SimpleNamespace

import clip
import numpy as np

frames, track = clip.FRAMES, clip.TRACK
t = 0
box = (64, 64, 192, 192)
alpha = np.pad(np.ones((64, 64), np.float32), 32)
rgb = np.zeros((128, 128, 3), np.float32)
drawn = [(s, rgb, alpha, box) for s in range(3)]


writer = SimpleNamespace(written=[])
writer.write = writer.written.append


def afterwards():
    assert parsing.head.mean() > 0.05
    assert len(writer.written) == 3
    assert (writer.written[0] != frames[0]).any()
