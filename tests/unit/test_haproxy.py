# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._haproxy import servers_from

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
STATISTICS = "# pxname,svname,qcur,qmax,scur,smax\nshop,app1,0,0,{sessions},3\n"


@pytest.mark.parametrize(
    ("operational", "administrative", "sessions", "expected"),
    [
        (2, 0, "0", {"backend": "shop", "state": "ready", "sessions": 0, "up": True}),
        (2, 8, "4", {"backend": "shop", "state": "drain", "sessions": 4, "up": True}),
        (0, 8, "0", {"backend": "shop", "state": "drain", "sessions": 0, "up": False}),  # stopped while it drains
        (0, 1, "0", {"backend": "shop", "state": "maint", "sessions": 0, "up": False}),
        (0, 5, "", {"backend": "shop", "state": "maint", "sessions": 0, "up": False}),  # disabled in the configuration too
        (0, 0, "0", {"backend": "shop", "state": "ready", "sessions": 0, "up": False}),
        (0, 2, "0", {"backend": "shop", "state": "ready", "sessions": 0, "up": False}),  # tracks one in maintenance
        (2, 32, "0", {"backend": "shop", "state": "ready", "sessions": 0, "up": True}),  # its address comes from DNS
        (1, 0, "0", {"backend": "shop", "state": "ready", "sessions": 0, "up": True}),  # slow start
    ],
)
def test_what_haproxy_says_of_a_server(operational: int, administrative: int, sessions: str, expected: dict[str, object]) -> None:
    states = f"{HEAD}3 shop 1 app1 10.0.0.1 {operational} {administrative} 1\n\n"
    (server,) = servers_from(states, STATISTICS.format(sessions=sessions))
    assert server.shown() == expected


def test_no_servers() -> None:
    assert servers_from(HEAD, "# pxname,svname\n") == []
