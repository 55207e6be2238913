"""Training Wav2Lip: `lipbench train wav2lip --out FOLDER --steps N`.

    sources, clips      face crops and spectrograms from the generator or a manifest, on disk
    data                batches that depend on (seed, step) alone
    expert, generator   the two trainings, on the schedule of Prajwal et al. 2020
    losses, config      sync, reconstruction, the schedule; official and demo sizes
    trainer             both, for the harness in `core.training`
    evaluate            mouths and sync against truth, beside the untouched video; strips

Upstream's defects that are mended: the expert scores in eval mode, the sync loss's weight survives a resume, training
hears the same window as inference.
"""
