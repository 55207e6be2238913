"""LipNeRF: a clip is fitted with a 3D morphable model, its head becomes a neural field driven by expressions."""
