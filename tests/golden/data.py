#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/data/: files as NumPy and h5py write them, for tests/unit/test_data.c.

Needs numpy and h5py. Sample i, feature k of every file is i - k / 4 (k counts in C order).
"""
import pathlib

import h5py
import numpy

out = pathlib.Path(__file__).parent / "data"
out.mkdir(exist_ok=True)


def samples(*shape):
    features = int(numpy.prod(shape[1:]))
    return (numpy.arange(shape[0])[:, None] - numpy.arange(features) / 4).reshape(shape)


labels = numpy.arange(200) % 3
numpy.savez_compressed(out / "deflated.npz", x=samples(200, 4).astype("f4"), y=labels)
numpy.savez(out / "stored.npz", other=labels, X=numpy.asfortranarray(samples(4, 3, 2)),
            Y=numpy.stack([labels[:4], 10.0 * labels[:4]], 1).astype(">f4"))
numpy.savez(out / "other.npz", samples=samples(2, 2), labels=labels)
for version in 1, 2, 3:
    with open(out / f"version{version}.npy", "wb") as f:
        numpy.lib.format.write_array(f, samples(3, 2, 2, 2), version=(version, 0))
with h5py.File(out / "xy.h5", "w") as f:
    f["x"] = samples(5, 2, 2, 3).astype("f4")
    f["y"] = labels[:5].astype("i4")
with h5py.File(out / "other.h5", "w") as f:
    f["samples"] = samples(2, 2)
    f["labels"] = labels
