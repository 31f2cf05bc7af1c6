# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that say which Alembic project and which database are meant."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  chdir:
    description:
      - Folder to work in, as if the C(alembic) program had been started there.
      - Without it, the folder of O(config).
      - At least one of O(chdir) and O(config) is required.
    type: path
  config:
    description:
      - Path of the configuration file, C(alembic.ini) or C(pyproject.toml), absolute or relative to O(chdir).
      - Without it, what Alembic finds in O(chdir), namely C(alembic.ini) and, since Alembic 1.16, C(pyproject.toml).
      - At least one of O(chdir) and O(config) is required.
    type: path
  section:
    description:
      - Section of the configuration file, the C(-n) of the C(alembic) program.
      - Without it, Alembic's default, V(alembic).
    type: str
  url:
    description:
      - Database URL. It takes the place of C(sqlalchemy.url) in the project's configuration.
      - Special characters in user and password are percent-encoded, as in every URL. A V(%) does not have to be doubled here.
      - A URL with an asynchronous driver is turned into one with a synchronous driver, and the other way round, when C(env.py)
        can not use it as it is and another driver is installed.
      - For a project that takes its URL elsewhere (an environment variable, a settings object, C(-x)), hand the URL over that way
        with O(environment) or O(x_arguments). O(url) then still says which database is meant. When the project connects to
        another one, the module refuses to work, with the error kind V(wrong_database).
      - Without it, the project connects to where it always does.
    type: str
  urls:
    description:
      - Database URLs by the section that takes each as its C(sqlalchemy.url), for a project with several databases (Alembic's
        C(multidb) template).
    type: dict
  x_arguments:
    description:
      - Arguments for C(env.py), each one C(-x) of the C(alembic) program, such as V(tenant=acme).
      - What is secret in them is recognised as in O(environment).
    type: list
    elements: str
    default: []
  prelude:
    description:
      - Python source that runs in O(chdir) before C(env.py), for a project whose framework has to be set up first.
      - It may set C(config) to an C(alembic.config.Config) of its own; otherwise the configuration file is read as usual.
      - An application whose factory migrates by itself must not do so here; the guide shows how.
    type: str
requirements:
  - Alembic 1.8 or later and SQLAlchemy 1.4 or later in the application's Python, which is 3.8 or later
notes:
  - While a project is only looked at, which is always so for modules that change nothing and for others in check mode, the server
    itself keeps its sessions from writing. An C(env.py), a O(prelude) or an application that writes then is refused, with the
    error kind V(environment_writes) and the statement. It finds the environment variable E(DBOPS_ALEMBIC_READ_ONLY) set then.
  - The project is used as it is. Its C(env.py) runs as it does under the C(alembic) program, and does not have to know about
    this collection.
  - The request goes to the application's Python over a pipe. No password is in an argument, in a file or in the result.
  - Tested with Alembic 1.8 to 1.20, SQLAlchemy 1.4 to 2.1, and PostgreSQL (psycopg2, psycopg, asyncpg, pg8000), MySQL and
    MariaDB (PyMySQL) and SQLite.
seealso:
  - ref: ansible_collections.dbops.alembic.docsite.guide_alembic
    description: The guide on using the modules of this collection.
"""
