"""Images per second and memory of the renderer: ``python benchmarks/render.py``."""

import argparse
import resource
import time

import numpy as np

from paramrel.data._base import hashed_order
from paramrel.data._render import light_of, render_chunks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--images", type=int, default=20_000)
    arguments = parser.parse_args()
    scenes = hashed_order("shapes3d", 480_000)[: arguments.images]
    print("side  images/s  first 1,000/s  peak memory (GB)")
    for side in arguments.sides:
        rates = []
        for part in (scenes[:1000], scenes):
            light_of.cache_clear()
            started = time.perf_counter()
            n = sum(len(images) for _, images in render_chunks(part, side))
            rates.append(n / (time.perf_counter() - started))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{side:4}  {rates[1]:8.0f}  {rates[0]:13.0f}  {peak:16.2f}")
    print(f"numpy {np.__version__}; tracing of the 480 geometries is part of both rates")


if __name__ == "__main__":
    main()
