import lipbench

ASKED = {"name": "demo", "manifest": "demo", "clips": ["demo-en"], "languages": ["fr"], "sync_model": "demo"}
lipbench.run({**ASKED, "methods": ["dubbed"], "metrics": ["sync"], "faces": "demo-face"})


def afterwards():
    assert all(Path(name).stat().st_size > 1000 for name in ("out/index.html", "fig4.pdf", "shift.pdf"))
