"""The generated corpus: talking heads whose lips are known in every language.

phones, articulation, visemes            IPA -> articulation channels -> expression weights of the head
timelines, espeak, formant, room         text -> phoneme times -> audio
prosody, motion                          pitch, nods, blinks, gaze, mood
script, spec, scene, render, corpus      one clip in several languages, and whole data sets of them
"""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
