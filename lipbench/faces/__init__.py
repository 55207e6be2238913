"""A face in an image: detection, landmarks, tracking, parsing, morphable models and rasterisation."""
