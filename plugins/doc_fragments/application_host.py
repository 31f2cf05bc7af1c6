# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the modules for an application host share."""

from __future__ import annotations


class ModuleDocFragment:
    MANAGER = r"""
options:
  manager:
    description: What runs the services on this host.
    type: str
    choices: [systemd, supervisor]
    default: systemd
  services:
    description:
      - The services, in the order in which they are started. What one means follows from O(manager).
      - Of systemd, a unit of any kind, without a suffix a service. V(web@*) is every instance that runs now, a target its parts.
        With a unit goes what triggers it (socket, timer, path), and what systemd stops together with it.
      - Of supervisor, V(web) is a program, V(orders:web) one of a group, V(orders:*), V(orders:) and V(orders) the whole group.
    type: list
    elements: str
    default: []
  scope:
    description: Whose systemd it is. With V(user) it is that of the user who runs the task.
    type: str
    choices: [system, user, global]
    default: system
  supervisor_config:
    description:
      - The configuration file whose section C([supervisorctl]) says where supervisor listens, and with which name and password.
    type: path
    default: /etc/supervisor/supervisord.conf
"""

    DOCUMENTATION = r"""
options:
  health:
    description:
      - What a right answer of the application is. It is asked on the host itself, without a proxy.
      - Without O(health.url) and O(health.command) nobody asks.
    type: dict
    default: {}
    suboptions:
      url:
        description: The URL to ask. A name and password in it are sent, and shown nowhere.
        type: str
        default: ""
      status:
        description: The statuses that are right.
        type: list
        elements: int
        default: [200]
      text:
        description: A text that the answer must hold.
        type: str
        default: ""
      json:
        description: Fields that the answer, a JSON object, must hold with these values.
        type: dict
        default: {}
      release_key:
        description: The field of the answer, a JSON object, that says which release gave it.
        type: str
        default: ""
      release_expected:
        description: The release that must answer. Without O(health.release_key) nobody looks.
        type: str
        default: ""
      headers:
        description: Headers of the request. They are not sent to another host that a redirect leads to.
        type: dict
        default: {}
      validate_certs:
        description: Whether the certificate has to be right.
        type: bool
        default: true
      ca_path:
        description: A file with the certificates of the authorities that are trusted, instead of those of the host.
        type: path
      client_cert:
        description: A file with the certificate to show, and with its key unless O(health.client_key) has it.
        type: path
      client_key:
        description: The file with the key of O(health.client_cert).
        type: path
      follow_redirects:
        description: Whether a redirect is followed, or is the answer.
        type: bool
        default: true
      unix_socket:
        description: The socket file on which the application listens. The URL then only says what to ask for.
        type: path
      command:
        description: A command that must succeed, as a list of arguments. It runs after the URL was right.
        type: list
        elements: str
        default: []
      retries:
        description:
          - How many further tries there are. Between two tries it is asked every tenth of a second too, which does not count.
        type: int
        default: 30
      delay:
        description: Seconds between two tries.
        type: float
        default: 1
      timeout:
        description: Seconds that one answer may take. A command may take a minute more.
        type: float
        default: 10
      failing_seconds:
        description:
          - After how many seconds of one and the same error status the application is not asked any longer, however many tries
            are left. V(408), V(425), V(429), V(502), V(503) and V(504) mean that it is not ready yet, and are waited for, as no
            answer is; so is an answer with a right status and a wrong content.
          - V(0) asks until all tries are used up.
        type: float
        default: 10
"""
