"""Fashion-MNIST, binarised dynamically (bFashionMNIST of the paper)."""

from paramrel.data._idx import IdxDataSet


class FashionMnistBinarized(IdxDataSet):
    """Fashion-MNIST with Bernoulli pixels: a new draw at every training step, one fixed draw for evaluation."""

    name = "fashionmnist_binarized"
    title = "Fashion-MNIST (binarised)"
    source = "Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747)"
    licence = "MIT"
    folder = "FashionMNIST"
    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    md5 = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
