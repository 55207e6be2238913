"""`lipbench train`: what makes the networks that the package carries. No product module imports this."""

#: `lipbench train NAME` -> the function that makes its Trainable from a `Request`.
TRAINERS = {
    "syncnet": "lipbench.training.syncnet.trainer:trainer",
    "phones": "lipbench.training.phones:trainer",
    "articulation": "lipbench.training.articulation:trainer",
    "demo-face": "lipbench.training.demo_face:trainer",
    "wav2lip": "lipbench.training.wav2lip.trainer:trainer",
    "wav2lip-expert": "lipbench.training.wav2lip.trainer:expert_trainer",
    "makeittalk": "lipbench.training.makeittalk:trainer",
    "speech2vid": "lipbench.training.speech2vid.trainer:trainer",
    "pc-avs": "lipbench.training.pcavs.trainer:trainer",
}
