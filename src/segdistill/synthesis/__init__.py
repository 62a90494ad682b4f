"""Images that are drawn and not taken: a diffusion model of a data set, samples of it, and what they copy.

It meets training through a folder of images, which `segdistill pretrain --transfer` reads.
"""
