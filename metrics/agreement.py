"""Class agreement of images generated at fixed codes, and what the probe itself reads of real images."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.metrics import roc_auc_score

from metrics._base import Arrays, Direction, Metric, NoConfig, Value
from metrics._labels import check_discrete, columns, joined
from metrics._probe import fitted_line, line_classes, line_scores
from paramrel.errors import Unsupported, UserError


@dataclass(frozen=True)
class Column:
    """One label column: its number, labels of the P probe images and wanted labels of the M images, both 0..c-1."""

    number: int
    known: np.ndarray
    wanted: np.ndarray


class Agreement(Metric[NoConfig]):
    """What a probe sees in images generated from the prior with z of a source image, against the source's labels.

    The probe is a logistic regression on real training images' pixels, one for each label column that varies there.
    Classes (``y_test`` (M,)) and factors ((M, k) with more than two values): the share of images in which it sees the
    source's label. A decoder that ignores z scores chance if it always makes the largest class, and the sum of squared
    shares if it makes classes as often as the data have them. Attributes ((M, A), each of two values): the AUROC of the
    probe's score against the source's attribute; a decoder that ignores z scores .5, however rare the attribute. Mean
    over columns. ``agreement_ceiling`` is the same of the source images themselves.
    """

    name = "agreement"
    version = 2
    title = "class agreement"
    places = {"latent_usage": 60, "ablations": 40, "statistics": 30, "headline": 30}
    direction: ClassVar[Direction] = "higher"
    range = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("generated", "y_test", "probe_x", "probe_y", "x_test")
    labels = ("y_test",)
    source = "ours"
    images: ClassVar[str] = "generated"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        found, note = label_columns(arrays)
        of_attributes = are_attributes(arrays)
        scores: list[float] = []
        ceilings: list[float] = []
        n_unconverged = 0
        for one in found:
            line = fitted_line(_flat(arrays["probe_x"]), one.known)
            n_unconverged += not line["converged"]
            for images, into in ((self.images, scores), ("x_test", ceilings)):
                seen = line_scores(line, _flat(arrays[images]))
                right = roc_auc_score(one.wanted, seen) if of_attributes else np.mean(line_classes(seen) == one.wanted)
                into.append(float(right))
        ceiling = float(np.mean(ceilings))
        said = (
            f"the probe's AUROC on the real images is {ceiling:.3f}"
            if of_attributes
            else (f"the probe is right on {ceiling:.3f} of the real images")
        )
        extra = {
            "measure": "auroc" if of_attributes else "accuracy",
            "ceiling": ceiling,
            "per_label": scores,
            "labels": [one.number for one in found],
        }
        unconverged = f"{n_unconverged} of {len(found)} probe fits did not converge" if n_unconverged else ""
        return Value(float(np.mean(scores)), len(arrays[self.images]), (), joined(said, note, unconverged), extra)

    def chance(self, arrays: Arrays) -> float:
        """.5 for attributes; of classes the share of the largest one, averaged over the columns that are measured."""
        if are_attributes(arrays):
            return 0.5
        counts = [np.bincount(one.wanted) for one in label_columns(arrays)[0]]
        return float(np.mean([count.max() / count.sum() for count in counts]))


class AgreementCeiling(Agreement):
    """The same of the source images themselves: how well the probe reads real images, which bounds ``agreement``."""

    name = "agreement_ceiling"
    version = 1
    title = "class agreement of real images"
    places = {"latent_usage": 65}
    direction = "none"
    needs = ("y_test", "probe_x", "probe_y", "x_test")
    images = "x_test"


def are_attributes(arrays: Arrays) -> bool:
    """True if labels are (P, A) columns of at most two values: yes/no questions, in place of one class per image."""
    known = np.asarray(arrays["probe_y"])
    return known.ndim == 2 and all(len(np.unique(column)) <= 2 for column in known.T)


def label_columns(arrays: Arrays) -> tuple[list[Column], str]:
    """The columns that can be compared, and a note on attributes that all of the images share.

    Raises ``UserError`` where ``y_test`` and ``probe_y`` do not have the same columns and values, and ``Unsupported``
    where nothing varies.
    """
    known, wanted = columns(np.asarray(arrays["probe_y"])), columns(np.asarray(arrays["y_test"]))
    if known.shape[1] != wanted.shape[1]:
        raise UserError(f"probe_y has {known.shape[1]} label column(s) and y_test {wanted.shape[1]}: give the same")
    found, alike, needed = [], 0, 2 if are_attributes(arrays) else 1
    for number, (mine, other) in enumerate(zip(known.T, wanted.T, strict=True)):
        values, inverse = np.unique(mine, return_inverse=True)
        if len(values) < 2:
            continue
        check_discrete(mine, number)
        column = Column(number, inverse, _positions(values, other, number))
        enough = len(np.unique(other)) >= needed
        alike += not enough
        found += [column] * enough
    if not found:
        raise Unsupported("every label column is constant: there is nothing to agree on")
    return found, f"{alike} attribute(s) that all images share left out" if alike else ""


def _positions(values: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Where each of ``labels`` stands in the sorted ``values``. Raises ``UserError`` for one that is not there."""
    comparable = (labels.dtype.kind == "U") == (values.dtype.kind == "U")
    unknown = np.setdiff1d(labels, values) if comparable else labels
    if len(unknown):
        raise UserError(
            f"label column {number}: y_test has {unknown[0]}, which probe_y has not (it has "
            f"{', '.join(map(str, values[:5]))}{', ...' if len(values) > 5 else ''}): use one vocabulary for both, "
            f"or more "
            "probe images"
        )
    return np.searchsorted(values, labels)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)
