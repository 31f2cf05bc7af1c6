# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

from flask import Flask, abort, jsonify, request
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from . import health
from .models import Customer, Order


def create_app(engine: Engine) -> Flask:
    app = Flask(__name__)

    @app.get("/health")
    def show_health():
        with Session(engine) as session:
            body, status = health.report(session)
        return jsonify(body), status

    @app.get("/customers")
    def list_customers():
        with Session(engine) as session:
            customers = session.scalars(select(Customer).order_by(Customer.id).limit(_limit()))
            return jsonify([{"id": c.id, "email": c.email, "name": c.name} for c in customers])

    @app.get("/orders")
    def list_orders():
        with Session(engine) as session:
            orders = session.scalars(select(Order).order_by(Order.id.desc()).limit(_limit()))
            return jsonify([order.as_json() for order in orders])

    @app.post("/orders")
    def create_order():
        wanted = request.get_json()
        with Session(engine) as session:
            if session.get(Customer, wanted["customer_id"]) is None:
                abort(404, "no such customer")
            order = Order(customer_id=wanted["customer_id"], amount_cents=int(wanted["amount_cents"]), note=wanted.get("note", ""))
            session.add(order)
            session.commit()
            return jsonify(order.as_json()), 201

    @app.get("/turnover")
    def turnover():
        """Slow on request (?seconds=2), so that one can watch a stop wait for it."""
        with Session(engine) as session:
            count, total = session.execute(select(func.count(Order.id), func.sum(Order.amount_cents))).one()
            time.sleep(min(float(request.args.get("seconds", 0)), 60))
        return jsonify({"orders": count, "amount_cents": total})

    return app


def _limit() -> int:
    return min(int(request.args.get("limit", 20)), 1000)
