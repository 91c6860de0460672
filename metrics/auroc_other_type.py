"""AUROC of codes of images of another data type than that of the training."""

from metrics.auroc import Auroc


class AurocOtherType(Auroc):
    """``auroc`` of the codes of the same images as another type of data: grey where training saw them binarised,
    thresholded where it saw grey values. Beside ``auroc`` it says what codes owe to the type that they were made for.
    """

    name = "auroc_other_type"
    title = "AUROC of the other data type"
    places = {"ablations": 20}
    digits = 3
    needs = ("z_other_type", "y")
    source = "ours, after an ablation of arXiv 2405.15268"
