"""MNIST, binarised dynamically (bMNIST of the paper)."""

from paramrel.data._idx import IdxDataSet


class MnistBinarized(IdxDataSet):
    """MNIST with Bernoulli pixels: a new draw at every training step, one fixed draw for evaluation."""

    name = "mnist_binarized"
    title = "MNIST (binarised)"
    source = "MNIST (Y. LeCun, C. Cortes, C. J. C. Burges, 1998)"
    licence = "CC BY-SA 3.0"
    folder = "MNIST"
    class_names = tuple("0123456789")
    md5 = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
