"""Training a sync model.

generated, footage   clips from the generator or from a manifest, as crops on disk (cache)
data, augment        batches of windows; damage that a sync model must not mind
loss, trainer        what is learned; `lipbench train syncnet`
evaluate             figures on people, voices and a language that training never met
"""
