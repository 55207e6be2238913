"""The product works where the generated world and the trainers cannot be imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys

FACTORY = ("lipbench.synthetic", "lipbench.training")

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(FACTORY):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Refuse())

import numpy as np
from lipbench.baselines.speech2vid.framing import mean_face
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import expression_to_semantic
from lipbench.lipnerf.expression.articulation import speak
from lipbench.lipnerf.fitting.points import table_for
from lipbench.lipnerf.fitting.appearance import face_surface

model = load_model("procedural")
assert len(table_for(model).vertex) == len(set(table_for(model).track)) > 100
assert len(face_surface(model, 3000).vertices) > 1000
assert mean_face().shape == (68, 2)
spoken = speak(np.zeros((4, 79)), np.full((4, 10), 0.2))
assert (expression_to_semantic(spoken)[:, 0] > 0.1).all()
assert not [name for name in sys.modules if name.startswith(FACTORY)]
print("done")
"""


def test_a_head_is_loaded_fitted_and_driven_without_its_builder() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stdout.strip() == "done", done.stderr
