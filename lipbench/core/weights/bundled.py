"""The demo weights that the package carries: small networks trained on generated faces and speech by `lipbench train`.

Their cards are in docs/. None of them is for recorded footage, and no number that they give compares with a published
one.
"""

from __future__ import annotations

#: name -> (file in data/, what it is for, SHA-256, bytes).
BUNDLED_FILES: dict[str, tuple[str, str, str, int]] = {
    "syncnet-demo": (
        "syncnet-demo.npz",
        "the demo judge; its LSE-D and LSE-C compare with no published number",
        "c101b59cc71660e8d7d139bb25ae2991011f9db28b3e32dc867762827851b6c9",
        1620500,
    ),
    "articulation-demo": (
        "articulation-demo.npz",
        "LipNeRF's expression_from: audio, on the procedural head",
        "0a61a91605fa01b36f543732053fa3cc0950d5843297d55526a129336c6eb989",
        525299,
    ),
    "makeittalk-demo": (
        "makeittalk-demo.npz",
        "method makeittalk with `weights: demo`: a small content branch",
        "9c40a31dcf636552b4af3e0bdd038455c74f5ab497279f18e5f5bc4945e6c23e",
        995809,
    ),
    "demo-face": (
        "demo-face.npz",
        "face backend demo-face: 68 points on generated faces, nothing else",
        "e864f42d35bab8f49ad66ae61c14aa2a24005bd255f4e3f04cab6eb0086be45c",
        1902911,
    ),
    "phones-demo": (
        "phones-demo.npz",
        "AD-NeRF's features: phones29; scores for 29 classes of sounds",
        "9cebac38ce7da77c2889621b96bf3d6007b3eff39e3bfa52879fe117e0bf6968",
        603104,
    ),
    "wav2lip-demo": (
        "wav2lip-demo.npz",
        "method wav2lip on the procedural head; say `weights: wav2lip-demo`",
        "2b56f9719c93055c45671b95a5b6d4cf15112fbe49eebd934127d1a9a4872d68",
        2477966,
    ),
    "pcavs-demo": (
        "pcavs-demo.npz",
        "method pc-avs with `weights: demo`: small networks for the procedural head",
        "706b283306c6609d795ad66ee55c2367c40b9c991652f6c6c48b31626c041a8f",
        2230017,
    ),
    "speech2vid-demo": (
        "speech2vid-demo.npz",
        "method speech2vid on the procedural head; say `weights: speech2vid-demo`",
        "887cdab0382f151aa388b09233c12e111c23e38c16827c3395900eeefbd17efe",
        3298503,
    ),
}

LICENCE = "Apache-2.0 (lipbench; trained on generated data only)"
