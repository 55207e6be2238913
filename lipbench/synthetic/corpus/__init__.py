"""The generated corpus: talking heads whose lips are known in every language.

phones, articulation, visemes            IPA -> articulation channels -> expression weights of the head
timelines, espeak, formant, room         text -> phoneme times -> audio
prosody, motion                          pitch, nods, blinks, gaze, mood
script, spec, scene, render, corpus      one clip in several languages, and whole data sets of them
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
