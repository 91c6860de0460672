"""Fashion-MNIST, binarised (bFashionMNIST of the paper)."""

from paramrel.data._idx import IdxDataSet, idx_forms


class FashionMnistBinarized(IdxDataSet):
    """Fashion-MNIST with Bernoulli pixels: a new draw at every training step, one fixed draw for evaluation."""

    name = "fashionmnist_binarized"
    title = "Fashion-MNIST (binarised)"
    source = "Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747)"
    licence = "MIT"
    by_hand = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    forms = idx_forms(
        "FashionMNIST",
        (by_hand,),
        # as torchvision 0.24 checks them
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
         "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
        # of what is in the official files
        ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
         "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
    )  # fmt: skip


class FashionMnistThresholded(FashionMnistBinarized):
    """Fashion-MNIST with value 1 where the grey value is above one half: no noise in the data."""

    name = "fashionmnist_thresholded"
    title = "Fashion-MNIST (thresholded)"
    binarise = "threshold"
