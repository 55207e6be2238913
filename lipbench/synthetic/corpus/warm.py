"""Importing this builds and compiles what every clip needs: the fork server of `parallel` does so once for all workers.

That takes some seconds, which otherwise every worker process would spend at the same time.
"""

from __future__ import annotations

import cv2

from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import head_of, plan
from lipbench.synthetic.corpus.spec import ClipSpec

cv2.setNumThreads(1)  # a process that is going to fork must not have threads
next(iter(RenderedShot(plan(ClipSpec("warm", 0, 0, "en", (), 1.0, width=64, height=64)), "en")))
head_of.cache_clear()
