"""Training Wav2Lip: `python -m lipbench.baselines.wav2lip.training FOLDER`.

    sources, data       clips from the generator or a manifest; batches that depend on (seed, step) alone
    expert, generator   the two trainings, on the schedule of Prajwal et al. 2020
    losses, config      sync, reconstruction, the schedule; official and demo sizes
    run                 steps, validation, checkpoints, resume
    evaluate            mouth PSNR against truth, beside the untouched video; strips

Upstream's defects that are mended: the expert judges in eval mode, the sync loss's weight survives a resume, training
hears the same window as inference.
"""
