"""What every figure shows, in words: its caption, and a text for who cannot see it. Light, for the workflow to read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """The words that go with a figure."""

    text: str
    """Caption: which figure of the paper it corresponds to, what is drawn, in which units."""
    alt: str
    """What is plotted and how it is laid out, for screen readers."""


FIRST = "One seed, the first that is there; held-out images."

CAPTIONS: dict[str, Caption] = {
    "reconstructions": Caption(
        "Figures 9 and 12 to 14 of the paper: reconstructions, with each image's own z and with another image's. "
        "z alone: the decoder's expectation in one step. Drawn anew: everything but z from the prior. All that is "
        "kept: "
        "for flows theta at u = 1, for diffusions the inverted noise. Where z matters, the rows with another's z "
        "show the "
        f"other image; where they show the source, z is ignored. {FIRST}",
        "For each data set a row of source images, then for each method rows of images made from their codes, with "
        "own and "
        "with exchanged codes.",
    ),
    "round_trips": Caption(
        "Figures 9 and 12 to 14 of the paper, by the deterministic sampler: image to (z, subcode) backwards, and "
        "forwards "
        "again, with the own z, with another image's z and the own subcode, and from z alone. An exact round trip says "
        f"little of z, since the subcode holds the rest. {FIRST}",
        "For each data set a row of source images, then for each method rows of images rendered from code and subcode.",
    ),
    "samples": Caption(
        "Figure 10 of the paper: images drawn from each method's prior, none chosen. Of DiffAE, EncDiff and "
        "InfoDiffusion the codes "
        "come from a latent diffusion, of the others from N(0, I), of ParamReL's points from the Gaussian that they "
        "are scattered like.",
        "For each data set and method a square of up to 64 generated images.",
    ),
    "samples_detail": Caption(
        "Figure 11 of the paper: the first samples of each method, enlarged, to judge edges and grey values.",
        "For each data set and method a row of a few generated images, enlarged.",
    ),
    "generation": Caption(
        "Figure 3 (a to c) of the paper: conditional generation. One part of an image's encoding is kept and the other "
        "drawn from its prior: with z kept, images should keep what z means and vary in detail; with the subcode kept, "
        f"the reverse. {FIRST}",
        "For each data set and method rows of a source image and eight images that share its code, then its subcode.",
    ),
    "time_varying": Caption(
        "Figure 3 (d to f) of the paper: time-varying reconstruction. The subcode is kept and z is replaced by z_s, "
        "the code "
        "of theta at flow time s (the paper's step is t = 1000 (1 - s)). Images that do not change with s come from a "
        f"decoder that does not need z. {FIRST}",
        "For each data set and method rows of images rendered with codes of growing flow time, and the source image.",
    ),
    "interpolation": Caption(
        "Figure 4 of the paper: interpolation between two images, all methods. z by lerp or slerp, the subcode, "
        "where there is "
        f"one, by slerp. Left and right of the nine steps: the images themselves. {FIRST}",
        "For each data set and method rows of nine images that lead from one held-out image to another, with both at "
        "the "
        "ends.",
    ),
    "traversal": Caption(
        "Figure 5 of the paper: traversals. One latent at a time runs over its mean -3 to +3 standard deviations "
        "over the "
        "data, all else of one image's encoding kept; the four latents that vary most over the data. First seed that "
        "is "
        "there.",
        "For each data set and method four rows of eleven images, one row per latent.",
    ),
    "flow": Caption(
        "Figure 6 of the paper: the Bayesian flow in parameter space. theta of the pixel that varies most, from the "
        "prior at "
        "u = 0 to the data at u = 1, by 50 Bayesian updates with noisy samples of x: density over 2,000 draws (grey, "
        "scaled "
        "at each u) and eight of them as lines, dark where the pixel is 0 and bright where it is 1.",
        "For each flow and data set a plot of a parameter against flow time: one broad prior splits into the values "
        "of the "
        "data.",
    ),
    "progressive": Caption(
        "What probes read from z_s, the code of theta at flow time s, against s. Mean over seeds; bands: 95 % "
        "t-interval over "
        "seeds (none for one seed). Dotted: chance. The paper claims a progressive structure and gives no such "
        "curve; s "
        "is never chosen on test labels.",
        "For each metric and data set a plot of the metric against flow time, a line per method with codes along a "
        "flow.",
    ),
    "tad": Caption(
        "Behind TAD and ATTRS (Table 3 of the paper): above, TAD per method, mean over seeds, each seed a mark, and "
        "the "
        "number of captured attributes; below, the AUROC of single latents (columns) for single attributes (rows), the "
        "better of both signs, one seed. A dot marks the best latent of a captured attribute. With one threshold at "
        ".75, "
        "TAD and ATTRS are step functions of this matrix. Of codes with more than 32 latents the 32 best are shown.",
        "Bars of TAD per method for each data set with attributes, and under them a grey-scale matrix of AUROC per "
        "method.",
    ),
    "seeds": Caption(
        "Every seed of every method: marks are seeds, lines the mean with its 95 % t-interval over seeds (none for "
        "one seed). "
        "Dotted: chance, where it is within reach. Intervals of few seeds are wide; where they overlap, the tables' "
        "paired differences say more.",
        "For each data set and metric a plot of methods against the metric, with a mark per seed and an interval per "
        "method.",
    ),
    "importance": Caption(
        "What single latents stand for. Above: importance of each latent (row) for each factor (column) in the "
        "boosted trees of "
        "DCI, latents in the order of the factor that they matter most for: a disentangled code is a staircase. "
        "Below: for "
        "each factor the latent that matters most for it, if there is one, from -3 to +3 standard deviations over "
        "the data, "
        "all else of one image's encoding kept. First seed that is there.",
        "For each method a grey-scale matrix of latents against factors, and below it rows of eleven images, one per "
        "factor.",
    ),
    "attention": Caption(
        "What the decoder reads where, of methods whose decoder reads concept tokens. Left: a held-out image; then "
        "for each "
        "latent's token the same image, as bright as the share of the token in what a position reads, fully where "
        "that is "
        "four times an equal share. Above each its latent's number, in the order of the factor that they matter most "
        "for where "
        "DCI was measured. Mean over layers, heads and times. First seed that is there.",
        "For each method whose decoder reads tokens rows of one image, dimmed where a token is not read.",
    ),
    "training_curves": Caption(
        "Training: terms of the objective against optimiser steps, running mean over 25 logged steps, a line per "
        "seed. Solid: "
        "the data term (flow loss or reconstruction in nats; of DiffAE, EncDiff and InfoDiffusion the squared error "
        "of the noise or of "
        "v, summed over the image); dashed: KL of the code to N(0, I) in nats, whether it is in the objective or "
        "not; dotted: "
        "the latent diffusion's error per latent.",
        "For each trained method and data set a plot of losses against steps with a logarithmic axis.",
    ),
    "rate_distortion": Caption(
        "Rate against distortion: KL of the code to its prior against the data's part of the likelihood bound, both in "
        "nats per held-out image, a mark per seed. On a dashed line the bound is the same (its nats at the lower "
        "end). A rate of 0 is a code that the "
        "bound does not pay for: for ParamReL (self) z is noise of the receiver.",
        "For each data set a scatter plot of the code's KL against the data term, a mark per method and seed.",
    ),
    "likelihood_auroc": Caption(
        "Likelihood against representation: bits/dim of held-out images (a bound; lower is better) and AUROC of a "
        "linear "
        "probe on the codes (higher is better), a mark per seed. Methods without a likelihood are not shown.",
        "For each data set a scatter plot of AUROC against bits per dimension, a mark per method and seed.",
    ),
}
"""By the name of the figure's files, in the order in which a report shows them."""
