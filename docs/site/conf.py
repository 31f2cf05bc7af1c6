# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx makes the site of the documentation with this; see tests/tooling/docs_site.py and make docs."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

project = title = html_title = "dbops.alembic"
copyright = "dbops.alembic contributors"
extensions = ["sphinx_antsibull_ext"]
html_theme = "sphinx_rtd_theme"
html_static_path, html_css_files = ["_static"], ["site.css"]
html_show_sphinx = False
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
default_role = "any"
nitpicky = True

#: Where Ansible's own documentation is, for what ours refers to there. It is not asked: the site is built without a network.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
PAGES = {
    "action_plugins": "plugins/action.html",
    "callback_plugins": "plugins/callback.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
PLUGIN = re.compile(r"ansible_collections\.(?!dbops\.)(\w+)\.(\w+)\.(\w+)$")


def elsewhere(_app: Any, _env: Any, node: Any, content: Any) -> nodes.reference | None:
    """Return a link to Ansible's documentation for what it has; a reference that ours should have is left, and a warning."""
    target = str(node["reftarget"])
    plugin = PLUGIN.match(target)
    place = PAGES.get(target) or (f"collections/{'/'.join(plugin.groups())}.html" if plugin else "")
    if node["reftype"] == "envvar" and target.startswith("ANSIBLE_") and not target.startswith("ANSIBLE_DBOPS_"):
        place = f"reference_appendices/config.html#envvar-{target}"
    return nodes.reference("", "", content, internal=False, refuri=ANSIBLE + place) if place else None


def setup(app: Any) -> None:
    app.connect("missing-reference", elsewhere)
