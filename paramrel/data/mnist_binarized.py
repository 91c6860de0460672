"""MNIST, binarised (bMNIST of the paper)."""

from paramrel.data._idx import IdxDataSet, idx_forms


class MnistBinarized(IdxDataSet):
    """MNIST with Bernoulli pixels: a new draw at every training step, one fixed draw for evaluation."""

    name = "mnist_binarized"
    title = "MNIST (binarised)"
    source = "MNIST (Y. LeCun, C. Cortes, C. J. C. Burges, 1998)"
    licence = "CC BY-SA 3.0"
    by_hand = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    class_names = tuple("0123456789")
    forms = idx_forms(
        "MNIST",
        (by_hand,),
        # as torchvision 0.24 checks them
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
         "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
        # of what is in the official files
        ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
         "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    )  # fmt: skip


class MnistThresholded(MnistBinarized):
    """MNIST with value 1 where the grey value is above one half: no noise in the data."""

    name = "mnist_thresholded"
    title = "MNIST (thresholded)"
    binarise = "threshold"
