import numpy as np

identity, expression = np.zeros(40), np.zeros(79)


def afterwards():
    assert vertices.shape[1] == 3
    assert frame.image.shape == (256, 256, 3)
    assert parts.lip_index.shape == (64,)
