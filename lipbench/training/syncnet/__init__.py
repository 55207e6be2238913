"""Training a judge.

generated, footage   clips from the generator or from a manifest, as crops on disk (cache)
data, augment        batches of windows; damage that a judge of lips must not mind
loss, trainer        what is learned; `lipbench train syncnet`
evaluate             figures on people, voices and a language that training never met
"""
