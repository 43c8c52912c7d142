#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what `ntk lab` measured into docs/experiments.md.

usage: python3 scripts/lab_table.py DIR docs/experiments.md

DIR is where `ntk lab` wrote NAME.json. The lines between <!-- NAME --> and <!-- end --> become the table of
experiment NAME; they stay where DIR has none.
"""
import json
import os
import re
import sys

MARK = {True: "agrees", False: "differs", None: ""}


def number(x):
    return f"{x:.4g}"


def row(r):
    theory = ("≤ " if r["bound"] else "") + number(r["theory"]) if r["theory"] is not None else ""
    interval = "" if r["low"] == r["high"] else f'{number(r["low"])} to {number(r["high"])}'
    quantity = r["quantity"].replace("|", "\\|")
    return f'| {quantity} | {theory} | {number(r["measured"])} | {interval} | {MARK[r["agrees"]]} |'


def table(directory, name, old):
    if not os.path.exists(f"{directory}/{name}.json"):
        return old
    with open(f"{directory}/{name}.json", encoding="utf-8") as f:
        report = json.load(f)
    if report["quick"]:
        sys.exit(f"{directory}/{name}.json is of a quick run")
    head = ["| | theory | measured | 95 % interval | |", "|---|---|---|---|---|"]
    return "\n".join(head + [row(r) for r in report["results"]]) + "\n"


def main():
    directory, path = sys.argv[1:]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(
        r"<!-- (\w+) -->\n(.*?)<!-- end -->",
        lambda m: f"<!-- {m[1]} -->\n{table(directory, m[1], m[2])}<!-- end -->",
        text,
        flags=re.S,
    )
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


main()
