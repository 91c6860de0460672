"""Settings of preconditioning by a Gaussian model of the training images (``paramrel.spectrum``), for flows and
diffusions."""

from typing import ClassVar, Literal

from paramrel.data import DataSet
from paramrel.settings import Frozen
from paramrel.spectrum import Preconditioning, Spectrum


class PreconditioningConfig(Frozen):
    """Which model of the images is measured before training, and where its estimate of x enters."""

    later: ClassVar[tuple[str, ...]] = ("precondition", "estimate")

    precondition: Preconditioning = "none"
    """The Gaussian model of the training images, measured in ``fit`` and kept with the weights. none: there is none,
    the network's output is read by ``parametrisation`` alone. scalar: one variance for all (after arXiv 2206.00364).
    spectrum: mean image, rotation of colours, and a variance of each DCT coefficient."""
    estimate: Literal["output", "input", "both"] = "output"
    """Where the model's posterior mean of x enters. output: the network's output is added to it in units of the
    posterior's deviation; of binary images, as logits. input: it is a further input of the decoder, one channel for
    each colour. both: both."""

    def spectrum(self, data: DataSet) -> Spectrum | None:
        """The model before it is measured: S = 1, m = 0."""
        return None if self.precondition == "none" else Spectrum(self.precondition, data.shape)

    @property
    def at_input(self) -> bool:
        """Whether the decoder sees the estimate."""
        return self.precondition != "none" and self.estimate != "output"

    @property
    def at_output(self) -> bool:
        """Whether the decoder's output is measured from the estimate."""
        return self.precondition != "none" and self.estimate != "input"
