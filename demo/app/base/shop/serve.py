# SPDX-License-Identifier: GPL-3.0-or-later
"""The service: one gunicorn worker with threads. On SIGTERM it finishes the running requests and closes the pool."""

from __future__ import annotations

import logging
import sys

from gunicorn.app.base import BaseApplication

from ._release import RELEASE
from .database import make_engine
from .settings import Settings
from .web import create_app

log = logging.getLogger(__name__)


class Service(BaseApplication):
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"{self.settings.host}:{self.settings.port}")
        self.cfg.set("worker_class", "gthread")
        self.cfg.set("threads", self.settings.threads)
        self.cfg.set("graceful_timeout", 20)
        self.cfg.set("accesslog", "-")
        self.cfg.set("proc_name", f"shop {RELEASE}")
        self.cfg.set("worker_exit", self.close_pool)
        if "control_socket_disable" in self.cfg.settings:  # new ones put one in the home folder, which replicas share
            self.cfg.set("control_socket_disable", True)

    def load(self):
        self.engine = make_engine(self.settings.database_url, pool_size=self.settings.threads)
        log.info("release %s serves on port %s", RELEASE, self.settings.port)
        return create_app(self.engine)

    def close_pool(self, server, worker) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            log.info("release %s has stopped", RELEASE)


def serve(settings: Settings) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    Service(settings).run()
