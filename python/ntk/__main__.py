# SPDX-License-Identifier: MIT
"""python -m ntk, and the command ntk: the command line of the library."""
import os
import sys


def main():
    command = os.path.join(os.path.dirname(__file__), "bin", "ntk")
    try:
        os.execv(command, ["ntk", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"ntk: {command}: {error.strerror}")


if __name__ == "__main__":
    main()
