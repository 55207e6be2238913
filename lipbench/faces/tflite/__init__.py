"""Reading .tflite files (MediaPipe's face nets) without TensorFlow or LiteRT."""

from lipbench.faces.tflite.model import Graph, Op, parse, read

__all__ = ["Graph", "Op", "parse", "read"]
