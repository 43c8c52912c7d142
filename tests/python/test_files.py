# SPDX-License-Identifier: MIT
"""Files that cannot be written: an exception, the old file as it was, and an interpreter that ends as it should."""
import os
import resource
import subprocess
import sys

import ntk

NET = "serial(Dense(64), Relu(), Dense(2))"
SAVE = """
import resource, sys
import ntk
init_fn, apply_fn, _ = ntk.stax.parse(sys.argv[1])
params = init_fn(0, (-1, 20))[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for _ in range(2):
    try:
        ntk.save_params('p.h5', apply_fn, params, (20,))
        print('written')
    except OSError as error:
        print(error)
"""


def _save(folder, limit):
    return subprocess.run([sys.executable, "-c", SAVE, NET, str(limit)], cwd=folder, capture_output=True, text=True)


def test_a_full_disk_is_an_exception_and_no_more(tmp_path):
    file = tmp_path / "p.h5"
    file.write_text("old")
    for limit in 0, 100, 3000, 8000:
        run = _save(tmp_path, limit)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == "cannot write p.h5: File too large\n" * 2
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["p.h5"]
    assert _save(tmp_path, resource.RLIM_INFINITY).stdout == "written\n" * 2
    assert ntk.load_params(file, ntk.stax.parse(NET)[1])[0][0].shape == (20, 64)


def test_links_and_modes_stay(tmp_path):
    target = tmp_path / "target.h5"
    os.symlink("target.h5", tmp_path / "p.h5")
    target.touch(0o600)
    target.chmod(0o604)
    assert _save(tmp_path, resource.RLIM_INFINITY).stdout == "written\n" * 2
    assert os.readlink(tmp_path / "p.h5") == "target.h5"
    assert target.stat().st_mode & 0o777 == 0o604
    assert target.stat().st_size > 10000
