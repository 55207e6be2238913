"""Training PC-AVS in a small size: `lipbench train pc-avs`.

clips      aligned crops, sounds and lips of training clips, generated or from a manifest
data       batches: one moment of a clip in two languages, the person from another moment
trainer    the four networks together
"""
