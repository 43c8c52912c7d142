# SPDX-License-Identifier: MIT
"""usage: python3 bench/features.py [DIR]
       python3 bench/features.py --million DIR [COUNT ...]

How far random features of the NTK of fc(depth=3, b_std=0) are from the exact kernel, at equal numbers of them, and the
processor seconds that they take, by the package ntk and by prototypes in NumPy of what else there is: on 500 rows of a table
of 13 columns and, if DIR has its files, of 500 MNIST digits. Markdown. Set OPENBLAS_NUM_THREADS=1 for NumPy.

    ntk             this library: features of the equivalent hidden layer (Simon et al. 2021), orthogonal directions
    random features the recursion of Zandieh et al. 2021 (arXiv 2106.07880): arc-cosine features of each layer, with products
                    by TensorSRHT
    sketch          the polynomial sketch of Han et al. 2022 (arXiv 2209.04121), degree 8, of the same recursion
    one sketch      the polynomial of the whole kernel, degree 24, sketched once
    gradient        the gradient of a finite network with as many parameters
    Nystroem        landmarks, drawn at random: K(x, L) K(L, L)^(-1/2), L of the same distribution

--million: 1,000,000 MNIST digits, shifted by up to two pixels, and ridge regression on COUNT (2000, 5000, 9000) features of
fc(depth=3), in chunks of 20,000 rows that are made on the way; test errors and seconds. Hours are of COUNT^2.
"""
import gzip
import sys
import time
from pathlib import Path

import numpy as np
from scipy.linalg import solve_triangular

import ntk

DEPTH, ROWS, COUNTS, CHUNK = 3, 500, (2048, 8192), 20000
NET = f"fc(depth={DEPTH}, b_std=0)"


def mnist(folder, part):
    def read(name, skip):
        with gzip.open(Path(folder) / name) as file:
            return np.frombuffer(file.read()[skip:], np.uint8)

    return (read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28).astype(np.float32) / 255,
            read(f"{part}-labels-idx1-ubyte.gz", 8))


def table(n, rng):
    z = rng.standard_normal((n, 13)).astype(np.float32)
    z[:, 6:] = 0.4 * z[:, 6:] + 0.8 * z[:, :7]
    return z


# ---- the kernel on the sphere, as series in rho

def kappa0(rho):
    return 0.5 + np.arcsin(rho) / np.pi


def kappa1(rho):
    return (np.sqrt(1 - rho * rho) + rho * np.arcsin(rho)) / np.pi + rho / 2


def whole(rho):
    sigma = theta = rho
    for _ in range(DEPTH):
        sigma, theta = kappa1(sigma), kappa1(sigma) + theta * kappa0(sigma)
    return theta


def series(f, degree, n=1 << 14):
    a = np.fft.fft(f(np.exp(2j * np.pi * np.arange(n) / n))).real[:n // 2] / n
    a = np.maximum(a, 0)
    a[degree] += a[degree + 1:].sum()
    return a[:degree + 1]


# ---- sketches

def hadamard(x):
    """The columns' Walsh-Hadamard transform, padded to a power of two, after random signs: [n][2^k]."""
    size = 1 << (x.shape[1] - 1).bit_length()
    x = np.pad(x, ((0, 0), (0, size - x.shape[1]))) * rng.choice([-1, 1], size).astype(np.float32)
    step = 1
    while step < size:
        x = x.reshape(len(x), -1, 2, step)
        x = np.concatenate([x[:, :, :1] + x[:, :, 1:], x[:, :, :1] - x[:, :, 1:]], 2).reshape(len(x), size)
        step *= 2
    return x


def srht(x, m):
    x = hadamard(x)
    return x[:, rng.integers(x.shape[1], size=m)] / np.float32(np.sqrt(m))


def tensor_srht(x, y, m):
    x, y = hadamard(x), hadamard(y)
    return x[:, rng.integers(x.shape[1], size=m)] * y[:, rng.integers(y.shape[1], size=m)] / np.float32(np.sqrt(m))


def powers(x, degree, m):
    out = [np.ones((len(x), 1), np.float32), x]
    while len(out) <= degree:
        out.append(tensor_srht(out[-1], x, m))
    return out


# ---- methods: features [n][count] of rows x

def by_ntk(x, count):
    return ntk.NTKFeatures(NET, n_components=count, random_state=0).fit(x).transform(x)


def by_random_features(x, count):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    psi = phi = x / norm
    m = count // 2
    for _ in range(DEPTH):
        z = psi @ rng.standard_normal((psi.shape[1], m)).astype(np.float32)
        psi = np.maximum(z, 0) * np.float32(np.sqrt(2 / m))
        phi = np.concatenate([psi, tensor_srht(phi, (z > 0) * np.float32(np.sqrt(2 / m)), m)], 1)
    return phi * norm


def by_sketch(x, count, degree=8):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    psi = phi = x / norm
    m = count // 2
    for _ in range(DEPTH):
        of = powers(psi, degree, m)

        def mix(f):
            return srht(np.concatenate([np.float32(np.sqrt(c)) * p for c, p in zip(series(f, degree), of)], 1), m)

        psi, step = mix(kappa1), mix(kappa0)
        phi = np.concatenate([psi, tensor_srht(phi, step, m)], 1)
    return phi * norm


def by_one_sketch(x, count, degree=24):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    u, c = x / norm, series(whole, degree)
    weight = c[2:] * np.arange(2, degree + 1)
    sizes = np.maximum((weight / weight.sum() * (count - 1 - x.shape[1])).astype(int), 1)
    sketches = powers(u, degree, 1024)
    high = [np.sqrt(a) * srht(s, m) for a, s, m in zip(c[2:], sketches[2:], sizes)]
    return np.concatenate([np.sqrt(c[0]) * sketches[0], np.sqrt(c[1]) * u, *high], 1).astype(np.float32) * norm


def by_gradient(x, count):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    d = x.shape[1]
    width = int((np.sqrt(d * d + 4 * (DEPTH - 1) * count) - d) / (2 * (DEPTH - 1)))
    values, slopes, weights = [x / norm], [], []
    for _ in range(DEPTH):
        weights.append(rng.standard_normal((values[-1].shape[1], width)).astype(np.float32))
        z = values[-1] @ weights[-1]
        values.append(np.maximum(z, 0) * np.float32(np.sqrt(2 / width)))
        slopes.append((z > 0) * np.float32(np.sqrt(2 / width)))
    back, out = np.tile(rng.standard_normal(width).astype(np.float32), (len(x), 1)), [values[-1]]
    for k in reversed(range(DEPTH)):
        back = back * slopes[k]
        out.append((values[k][:, :, None] * back[:, None, :]).reshape(len(x), -1))
        back = back @ weights[k].T
    return np.concatenate(out, 1) * norm


def by_nystroem(x, count):
    kernel = ntk.stax.fc(depth=DEPTH, b_std=0)[2]
    k = kernel(pool[:count], None, "ntk").astype(np.float64)
    k[np.diag_indices(count)] += 1e-7 * k.diagonal().mean()
    return solve_triangular(np.linalg.cholesky(k), kernel(x, pool[:count], "ntk").T, lower=True).T


METHODS = {"ntk": by_ntk, "random features": by_random_features, "sketch": by_sketch, "one sketch": by_one_sketch,
           "gradient": by_gradient, "Nystroem": by_nystroem}


def compare(name, x):
    exact = ntk.stax.fc(depth=DEPTH, b_std=0)[2](x.astype(np.float64), None, "ntk")
    unit = np.sqrt(exact[0, 0] / whole(1.0) / np.sum(np.square(x[0], dtype=np.float64)))  # prototypes have weights of their own
    for count in COUNTS:
        print(f"\n| {name}, {count} features | Frobenius | off the diagonal | spectral | CPU seconds |\n|---|---|---|---|---|")
        for label, method in METHODS.items():
            start = time.process_time()
            phi = method(x, count).astype(np.float64)
            seconds = time.process_time() - start
            if method not in (by_ntk, by_nystroem):
                phi *= unit
            apart = phi @ phi.T - exact
            off = ~np.eye(len(x), dtype=bool)
            errors = (np.linalg.norm(apart) / np.linalg.norm(exact), np.linalg.norm(apart[off]) / np.linalg.norm(exact[off]),
                      np.linalg.norm(apart, 2) / np.linalg.norm(exact, 2))
            print(f"| {label} | {' | '.join(f'{e:.1e}' for e in errors)} | {seconds:.2f} |", flush=True)


def million(folder, counts):
    x, y = mnist(folder, "train")
    x_test, y_test = mnist(folder, "t10k")
    print("| features | test error | seconds |\n|---|---|---|")
    for count in counts:
        draw, start = np.random.default_rng(1), time.time()
        model = ntk.NTKFeaturesClassifier(f"fc(depth={DEPTH})", n_components=count, alpha=1e-6, alpha_relative=True,
                                          random_state=0)
        for _ in range(1000000 // CHUNK):
            rows = draw.integers(len(x), size=CHUNK)
            shifted = [np.roll(x[i], shift, (0, 1)) for i, shift in zip(rows, draw.integers(-2, 3, size=(CHUNK, 2)))]
            model.partial_fit(np.stack(shifted).reshape(CHUNK, -1), y[rows], classes=range(10))
        error = 1 - model.score(x_test.reshape(len(x_test), -1), y_test)
        print(f"| {count} | {100 * error:.2f} % | {time.time() - start:.0f} |", flush=True)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    if sys.argv[1:2] == ["--million"] and len(sys.argv) > 2:
        million(sys.argv[2], [int(word) for word in sys.argv[3:]] or (2000, 5000, 9000))
        sys.exit()
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit(__doc__)
    ntk.set_threads(1)
    by_ntk(table(20, rng), 16)  # what is loaded when it is first used
    x = table(ROWS + max(COUNTS), rng)
    pool = x[ROWS:]
    compare("table", x[:ROWS])
    if len(sys.argv) == 2:
        x = rng.permutation(mnist(sys.argv[1], "train")[0].reshape(-1, 784))[:ROWS + max(COUNTS)]
        pool = x[ROWS:]
        compare("MNIST", x[:ROWS])
