# SPDX-License-Identifier: MIT
"""Writes tests/fuzz/h5/: HDF5 files that the library itself does not write, for the fuzz target h5.c.

Needs h5py. The files of tests/golden/formats, with arrays in compressed chunks (gzip.h5: one of each kind of file)
or in other places and types; samples in chunks, of other types, declared and never written.
"""
import pathlib

import h5py
import numpy as np

here = pathlib.Path(__file__).parent
formats = here.parent / "golden" / "formats"
out = here / "h5"


def rewrite(source, target, **how):
    """A copy whose arrays are created with the options `how`."""
    with h5py.File(formats / source, "r") as old, h5py.File(out / target, "w") as new:
        for name, value in old.attrs.items():
            new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)
        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                new.create_dataset(name, data=item[()], **how)
        old.visititems(copy)


rewrite("factor-2.h5", "factor-gzip.h5", chunks=True, compression="gzip")
rewrite("parameters-2.h5", "parameters-big-endian.h5", dtype=">f8")
rewrite("trained-3.h5", "trained-gzip.h5", chunks=True, compression="gzip")
rewrite("checkpoint-2.h5", "checkpoint-chunks.h5", chunks=True)
with h5py.File(out / "samples-gzip.h5", "w") as f:
    f.create_dataset("x", data=np.arange(24.0).reshape(6, 4), chunks=(2, 4), compression="gzip", shuffle=True)
    f.create_dataset("y", data=np.arange(6, dtype=np.int8), chunks=(6,), fletcher32=True)
with h5py.File(out / "samples-types.h5", "w") as f:
    f.create_dataset("X", data=np.arange(24).reshape(2, 3, 2, 2) % 2 == 0)
    f.create_dataset("Y", data=np.arange(2, dtype=np.float16).reshape(2, 1))
with h5py.File(out / "samples-unwritten.h5", "w") as f:
    f.create_dataset("x", shape=(1000, 4), dtype="f4", chunks=(10, 4), fillvalue=1.5)
