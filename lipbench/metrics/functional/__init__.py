"""Metrics as pure functions on arrays: no run, no files, no registry.

    psnr, ssim, lpips     (T, H, W, 3) uint8 RGB frames; also as `lipbench.metrics.psnr` and so on
    dists                 dists: like lpips, with VGG-16 and weights of its own
    niqe, brisque, cpbd   of (T, H, W, 3) frames alone, without a reference
    libavfilter           xpsnr, vif and siti per frame, by FFmpeg's filters
    ssim_variants         ssim_uniform, ssim_gray, ssim_padded: as other code computes SSIM
    temporal              temporal_difference_error: does the image change as it should
    landmarks             mouth_distance, face_distance, mouth_opening_error, interocular, lip_gap, pearson on
                          (T, 68, 2) points
    mesh                  lip_vertex_error on (T, L, 3) vertices
    frechet               frechet_distance of two (N, D) sets of features: FID and FVD for features that you have
    action_units          au_error of OpenFace's intensities, read_openface

Import from the module: `from lipbench.metrics.functional.psnr import psnr`. The package itself holds no function, for a
module of the same name would replace it.
"""
