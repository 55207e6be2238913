"""Clips, dubs and manifests; building them; the generated corpus and the packaged demo."""
