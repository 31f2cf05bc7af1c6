#!/bin/bash
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Programs of every kind: make, begin (start them and remember how they are), same (as remembered), none (runs), remove.
set -u
file=/etc/supervisor/conf.d/orders.conf

states() { supervisorctl status 'orders:*' watch | awk '{print $1, $2}'; }

case $1 in
make)
  cat > $file <<'PROGRAMS'
[program:console]
command=sleep 9999
autostart=false
[program:cache]
command=/bin/true
startsecs=0
autorestart=false
[program:web]
command=sleep 9999
[program:worker]
command=sleep 9999
numprocs=2
process_name=%(program_name)s_%(process_num)02d
[program:broken]
command=/no/such/program
startretries=0
[group:orders]
programs=console,cache,web,worker,broken
[eventlistener:watch]
command=/usr/bin/python3 -c "print('READY', flush=True); import time; time.sleep(9999)"
events=TICK_3600
PROGRAMS
  supervisorctl update
  ;;
begin)
  supervisorctl start orders:web orders:worker_00 orders:worker_01 watch
  states > /run/kinds
  [ "$(grep -c RUNNING /run/kinds)" = 4 ] || { cat /run/kinds; exit 1; }
  ;;
same)
  states | diff /run/kinds -
  ;;
none)
  ! states | grep -E ' (RUNNING|STARTING|BACKOFF|STOPPING)$'
  ;;
remove)
  rm $file
  supervisorctl update
  ;;
esac
