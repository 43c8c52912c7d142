# SPDX-License-Identifier: MIT
"""Pages that are made of something else: docs/generated/*.md, written by conf.py at every build.

    layers.md, activations.md, combinators.md   the C library's table of words, the one `ntk layers` shows
    c.md                                        the comments and declarations of include/ntk.h
    python.md                                   the modules of the Python package, for autodoc
    commands.md                                 what `ntk COMMAND --help` prints
    performance.md, contributing.md, changes.md bench/RESULTS.md, CONTRIBUTING.md, CHANGELOG.md
"""
import importlib
import inspect
import os
import re
import subprocess

import ntk

DOCS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(DOCS)
OUT = os.path.join(DOCS, "generated")


def version():
    return ntk.__version__


def command():
    """The command ntk: $NTK_COMMAND, else the one in the Python package; None without."""
    packaged = os.path.join(os.path.dirname(ntk.__file__), "bin", "ntk")
    path = os.environ.get("NTK_COMMAND") or (packaged if os.path.exists(packaged) else None)
    return path and os.path.abspath(path)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def escaped(text):
    """Plain text as Markdown that shows it as it is, but for `code`."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else re.sub(r"([\\`*_{}\[\]<>|$])", r"\\\1", part) for i, part in enumerate(parts))


def paragraphs(text):
    """escaped, but for paragraphs of code, which are indented."""
    return "\n\n".join(part if part.startswith("    ") else escaped(part) for part in text.strip().split("\n\n"))


# ---- words of the architecture language

WORD_PAGES = {
    "layers": ("Layers", ["layer"],
               "Layers of the architecture language and of `ntk.stax`, with their rules for infinite width. S and T "
               "are the NNGP and the tangent kernel before the layer, S' and T' after it; S\\[p,p'\\] is the "
               "covariance of positions p and p'. [The architecture language](../language.md) says how words combine."),
    "activations": ("Activations", ["activation"],
                    "Activations f act elementwise: S' = E\\[f(u) f(v)\\] and T' = T E\\[f'(u) f'(v)\\], (u, v) "
                    "Gaussian with variances q, q' and covariance k before the layer. Where there is no closed form, a "
                    "Hermite series with a bound on its rest is used ([engine](../engine.md)). The formulas below are "
                    "the two expectations."),
    "combinators": ("Combinators and presets", ["combinator", "preset"],
                    "Words that join layers, and networks with a name. `ntk nets NAME` prints a preset's text; "
                    "[the architecture language](../language.md) says how to write one."),
}


def word_entry(name, kind, summary, formula, source, cost, parameters):
    arguments = ", ".join(p[0] + (f"={p[2]}" if p[2] else "") for p in parameters)
    arguments = arguments or {"serial": "*layers", "parallel": "*layers", "residual": "*layers"}.get(name, "")
    lines = [f"## {name}", "", f":::{{py:function}} ntk.stax.{name}({arguments})", ":::", "",
             f"{escaped(summary)}.", ""]
    if parameters:
        rows = [[f"`{p[0]}`", p[1], f"`{p[2]}`" if p[2] else "", escaped(p[3])] for p in parameters]
        lines += [table(["argument", "type", "default", ""], rows), ""]
    if formula:
        lines += ["Infinite width:", "", "```text", *re.split(r";\s+", formula), "```", ""]
    if source:
        lines += [f"Source: {escaped(source)}.", ""]
    if cost:
        lines += [f"Cost: {escaped(cost)}.", ""]
    if kind == "preset":
        lines += ["```text", preset_text(name), "```", ""]
    return "\n".join(lines)


def preset_text(name):
    return read(f"nets/{name}.ntk").strip()


def words(page):
    title, kinds, text = WORD_PAGES[page]
    entries = [word for kind in kinds for word in ntk._core.layers() if word[1] == kind]
    overview = table(["word", ""], [[f"[{w[0]}](#{w[0].lower()})", escaped(w[2])] for w in entries])
    return "\n\n".join([f"# {title}", text, overview, *[word_entry(*word) for word in entries]])


# ---- the C interface

SECTION = re.compile(r"^/\* -{10,} (.*?) \*/$")


def header_items(text):
    """(section, comment, declarations) of the header, in order; a comment belongs to the lines after it."""
    body = text[text.index("/* ----"):text.rindex("#ifdef __cplusplus")]
    section, comment, code = None, [], []
    items, inside, braces = [], False, 0

    def flush():
        nonlocal comment, code
        if comment or code:
            items.append((section, " ".join(comment).strip() and "\n".join(comment), "\n".join(code).strip()))
        comment, code = [], []

    for line in body.splitlines():
        start = SECTION.match(line)
        if start:
            flush()
            section = start[1]
        elif inside or (line.startswith("/*") and not braces):
            if not inside:
                flush()
            inside = "*/" not in line
            comment.append(re.sub(r"^(/\*| \*(?!/)) ?|\s*\*/$", "", line))
        elif not line.strip() and not braces:
            flush()
        else:
            code.append(line)
            braces += line.count("{") - line.count("}")
    flush()
    return items


def comment_markdown(comment):
    """A comment's sentences; lines that are set off by more blanks are kept as they are."""
    lines, code = [], False
    for line in comment.splitlines():
        deeper = line.startswith("  ") or (code and line.startswith(" "))
        if deeper != code:
            lines += ["```text", line] if deeper else ["```", "", escaped(line)]
            lines[-2:-1] = ["", lines[-2]] if deeper else [lines[-2]]
            code = deeper
        else:
            lines.append(line if code else escaped(line))
    return "\n".join(lines + ["```"] * code)


def declaration_names(code):
    """Functions, types and macros that the declarations define."""
    names = re.findall(r"\b(ntk_\w+)\(", re.sub(r"\{.*?\}", "", code, flags=re.S)) if "#define" not in code else []
    names += re.findall(r"^typedef (?:struct|enum) \w* ?\{?.*?\}? ?(ntk_\w+);", code, flags=re.S | re.M)
    names += re.findall(r"^typedef (?:struct|enum) (ntk_\w+)", code, flags=re.M)
    names += re.findall(r"#define (NTK_\w+)\(", code)
    return list(dict.fromkeys(names))


def c_page(_):
    text = read("include/ntk.h")
    head = text[text.index("ntk.h - ") + len("ntk.h - "):text.index("*/")]
    head = re.sub(r"^ \* ?", "", head, flags=re.M)
    intro, _, rest = head.partition("\nConventions\n")
    conventions, _, theory = rest.partition("\n\n")
    conventions = re.sub(r"^  ", "", conventions, flags=re.M)
    out = ["# C interface", f"`#include <ntk.h>`: {escaped(intro.strip())}",
           "This page is made of the comments of `include/ntk.h`. [Use from C](../howto/c.md) has a whole program.",
           "## Conventions", escaped(conventions), escaped(theory.strip())]
    section = None
    for title, comment, code in header_items(text):
        if title != section:
            out.append(f"## {title[0].upper()}{title[1:]}")
            section = title
        names = declaration_names(code)
        if names:
            out.append("\n".join(f"({n})=" for n in names if n not in _anchors and not _anchors.add(n)))
        if code:
            code = re.sub(r"\bNTK_API (NTK_NODISCARD )?", "", code)
            out.append(f"```c\n{code}\n```")
        if comment:
            out.append(comment_markdown(comment))
    return "\n\n".join(part for part in out if part)


_anchors = set()


# ---- the Python interface

MODULES = {
    "ntk": "kernels, settings",
    "ntk.estimators": "scikit-learn's interface",
    "ntk.gp_kernel": "scikit-learn's Gaussian processes",
    "ntk.predict": "predictions and training dynamics from kernels",
    "ntk.finite": "training of finite networks",
    "ntk.empirical": "kernels of finite networks",
    "ntk.datasets": "data",
    "ntk.lab": "experiments",
    "ntk.plot": "plots",
}
FUNCTIONS = {"init_fn": ntk._net.InitFn, "apply_fn": ntk._net.ApplyFn, "kernel_fn": ntk._kernel.KernelFn}


def called(name, function):
    """A class whose objects are functions, as a function."""
    parameters = list(inspect.signature(function.__call__).parameters.values())[1:]
    signature = str(inspect.Signature(parameters)).replace("<class 'numpy.float64'>", "numpy.float64")
    return f":::{{py:function}} {name}{signature}\n\n{escaped(inspect.cleandoc(function.__doc__))}\n:::"


def public(module):
    """Names that a module defines itself, functions and classes, in their order there."""
    return [name for name, value in vars(module).items()
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__
            and not name.startswith("_")]


def directive(path, value):
    if not inspect.isclass(value):
        return f".. autofunction:: {path}\n"
    fields = hasattr(value, "_fields")  # a named tuple's fields are in its docstring
    return f".. autoclass:: {path}\n" + ("   :no-members:\n" if fields else "")


def rst(*directives):
    return "```{eval-rst}\n" + "\n".join(directives) + "```"


def python_page(_):
    out = ["# Python interface",
           "The package `ntk`. Layers, activations and combinators are functions of `ntk.stax`, generated from the C "
           "library's table: [layers](layers.md), [activations](activations.md), "
           "[combinators and presets](combinators.md). They are in `ntk` too.",
           "## ntk.stax: networks",
           "Each function of `ntk.stax` gives a `Layer`: the triple (init_fn, apply_fn, kernel_fn), whose `text` is "
           "the architecture.",
           *[called(name, function) for name, function in FUNCTIONS.items()],
           rst(directive("ntk.Kernel", ntk.Kernel), ".. autofunction:: ntk.stax.parse\n")]
    for name, title in MODULES.items():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            continue
        names = public(module)
        if name == "ntk":  # with what is defined in modules that have no section
            names = [n for part in (ntk, ntk._kernel, ntk._plan, ntk.settings) for n in public(part)
                     if n in vars(ntk) and n != "Kernel"]
        out.append(f"## {name}: {title}")
        if name != "ntk" and module.__doc__:
            out.append(paragraphs(module.__doc__))
        out.append(rst(*[directive(f"{name}.{n}", getattr(module, n)) for n in names]))
    return "\n\n".join(out)


# ---- the command line


def commands_page(_):
    head = ["# Commands", "What `ntk --help` and `ntk COMMAND --help` print. [The command line](../cli.md) says what "
            "the commands have in common."]
    ntk_command = command()
    if ntk_command is None:
        return "\n\n".join([*head, "(This copy of the site was built without the command.)"])

    def text(*words):
        done = subprocess.run([ntk_command, *words, "--help"], capture_output=True, text=True, check=True)
        return f"```text\n{done.stdout.rstrip()}\n```"

    overview = text()
    names = re.findall(r"^    (\w+) ", overview, flags=re.M)
    return "\n\n".join([*head, overview, *[f"## ntk {name}\n\n{text(name)}" for name in names]])


# ---- files of the repository as pages


def copied(path, title=None):
    def page(links):
        text = links(read(path), os.path.dirname(path))
        return text if title is None else re.sub(r"^# .*", f"# {title}", text, count=1)

    return page


PAGES = {
    "layers.md": lambda _: words("layers"),
    "activations.md": lambda _: words("activations"),
    "combinators.md": lambda _: words("combinators"),
    "c.md": c_page,
    "python.md": python_page,
    "commands.md": commands_page,
    "performance.md": copied("bench/RESULTS.md", "Performance"),
    "contributing.md": copied("CONTRIBUTING.md"),
    "changes.md": copied("CHANGELOG.md"),
}


def write(links):
    """Writes all pages; `links` makes the links of a repository's file those of the site."""
    os.makedirs(OUT, exist_ok=True)
    _anchors.clear()
    for name, page in PAGES.items():
        text = page(links).rstrip() + "\n"
        path = os.path.join(OUT, name)
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:  # else Sphinx reads it again
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    for name in os.listdir(OUT):
        if name not in PAGES:
            os.remove(os.path.join(OUT, name))
