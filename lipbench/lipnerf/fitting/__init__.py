"""The 3DMM fit of a clip: who, from where, with which face, in which light.

fit = fit_clip(frames, track, FitOptions.preset("demo"))     identity, focal; expression, pose, light per frame
dub = refit(fit, dubbed_frames, dubbed_track)                expressions of a lip source's video, all else frozen
fit.save("fit.npz"); Fit.load("fit.npz")
report(fit).lines(); overlay_video(frames, fit, "fit.mp4", track)
"""

from lipbench.lipnerf.fitting.clip import fit_clip, refit
from lipbench.lipnerf.fitting.fit import Fit, FitReport, frame_error, report
from lipbench.lipnerf.fitting.options import FitOptions
from lipbench.lipnerf.fitting.overlay import overlay_video

__all__ = ["Fit", "FitOptions", "FitReport", "fit_clip", "frame_error", "overlay_video", "refit", "report"]
