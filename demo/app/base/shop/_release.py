# SPDX-License-Identifier: GPL-3.0-or-later
"""Written by the release build."""

RELEASE = "1.0"
VERSION = "1.0"
