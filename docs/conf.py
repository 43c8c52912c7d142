# SPDX-License-Identifier: MIT
"""The documentation site: scripts/docs.sh builds it. Formulas are text, so that pages need nothing from elsewhere."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import generate

project = "libntk"
author = "the libntk authors"
copyright = "the libntk authors, MIT licence"
release = version = generate.version()

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["notebooks"]
highlight_language = "none"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # quotes are in code and formulas
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"libntk {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False

# Files of the repository that are pages here under another name.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "generated/contributing.md",
    "CHANGELOG.md": "generated/changes.md",
    "bench/RESULTS.md": "generated/performance.md",
    "include/ntk.h": "generated/c.md",
}


def links(text, folder):
    """Markdown whose links to files are those of the site: `folder` is where the text's own links start."""

    def link(match):
        label, target = match[1], match[2]
        if ":" in target or target.startswith("#"):
            return match[0]
        target, hash_, anchor = target.partition("#")
        path = os.path.relpath(os.path.join(ROOT, folder, target), ROOT)
        if path in PAGES:
            return f"[{label}](/{PAGES[path]}{hash_}{anchor})"
        if os.path.isdir(os.path.join(ROOT, path)):
            return label
        if path.startswith("docs/"):
            return f"[{label}](/{path[5:]}{hash_}{anchor})"
        return f"[{label}]({os.path.relpath(os.path.join(ROOT, path), app_folder(folder))})"

    return re.sub(r"(?<!`)\[([^][]*)\]\(([^()\s]+)\)", link, text)


def app_folder(folder):
    """Where a text from that folder of the repository stands in the site's sources."""
    inside = folder == "docs" or folder.startswith("docs/")
    return os.path.join(ROOT, folder) if inside else os.path.join(ROOT, "docs", "generated")


def read_source(app, name, source):
    if not name.startswith("generated/"):
        source[0] = links(source[0], os.path.dirname(os.path.join("docs", name)))


def plain_docstring(app, what, name, obj, options, lines):
    """Docstrings are plain text: characters with a meaning in reStructuredText are escaped. Indented lines after an
    empty one are code, after another they define it; a line over dashes is a title."""
    result, code = [], False
    for i, line in enumerate(lines):
        dashes = re.fullmatch(r"-{4,}", line)
        if dashes:
            result[-1:] = ["", f"**{result[-1]}**", ""]
            continue
        if line.startswith("    ") and not code and not (i and lines[i - 1].strip()):
            result += ["::", ""]
            code = True
        elif line.strip() and not line.startswith(" "):
            code = False
        if not code and not line.startswith(">>>"):
            parts = re.split(r"`([^`]+)`", line)
            line = "".join(f"``{part}``" if j % 2 else re.sub(r"([\\*`|_])", r"\\\1", part)
                           for j, part in enumerate(parts))
        result.append(line)
    lines[:] = result


def skip_member(app, what, name, obj, skip, options):
    """scikit-learn gives its estimators methods for metadata routing, which nobody calls here."""
    return True if name.endswith("_request") or name == "get_metadata_routing" else None


def setup(app):
    generate.write(links)
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-skip-member", skip_member)
