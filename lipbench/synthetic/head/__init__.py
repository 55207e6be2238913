"""The built-in head: procedural geometry, 36 semantic expressions in a 79-dimensional space, identities, looks.

identity = sample_identity(7)
head = build(identity)
vertices = head.pose_frame({"jawOpen": 0.5}, euler_to_matrix((0, 0.3, 0)), gaze=(0.1, 0))
out = Renderer(head.surface).render(vertices, Camera.portrait(256), Light())
"""

from lipbench.synthetic.head.expression_space import DIMENSIONS, expression_space
from lipbench.synthetic.head.head import REST_TRANSLATION, Head
from lipbench.synthetic.head.identity import HAIR_STYLES, Identity, sample_identity
from lipbench.synthetic.head.pose import SKULL_JOINT, joint_translation

__all__ = [
    "DIMENSIONS",
    "HAIR_STYLES",
    "REST_TRANSLATION",
    "SKULL_JOINT",
    "Head",
    "Identity",
    "build",
    "expression_space",
    "joint_translation",
    "sample_identity",
]


def build(identity: Identity | None = None) -> Head:
    """The head of an identity (the average one when None). The first call of a process also builds the template."""
    return Head(Identity() if identity is None else identity)
