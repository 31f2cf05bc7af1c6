#!/bin/bash
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Units of every kind: make, begin (start them and remember how they are), same (as remembered), none (runs), remove.
# user: the shop is a unit of root's own systemd, in the place of the system's; user-serves RELEASE; no-user: as it was.
set -u
folder=/etc/systemd/system
running="socketed.socket socketed mail.timer spool.path web@1 web@7 batch.target batch@1 batch@2 exact side keep always ready"
all="$running mail spool web@3"

unit() { printf '%b' "$2" > "$folder/$1"; }

mine() { XDG_RUNTIME_DIR=/run/user/0 systemctl --user "$@"; }

states() { for unit in $all; do echo "$unit $(systemctl is-active "$unit")"; done; }

case $1 in
make)
  unit socketed.socket '[Socket]\nListenStream=127.0.0.1:8100\n'
  unit socketed.service '[Unit]\nRequires=socketed.socket\n[Service]\nExecStart=/usr/bin/python3 -c "import socket, time; socket.socket(fileno=3); time.sleep(9999)"\n'
  unit mail.timer '[Timer]\nOnCalendar=daily\n'
  unit mail.service '[Service]\nType=oneshot\nExecStart=/bin/true\n'
  unit spool.path '[Path]\nPathExists=/run/spool-full\n'
  unit spool.service '[Service]\nType=oneshot\nExecStart=/bin/rm -f /run/spool-full\n'
  unit web@.service '[Service]\nExecStart=/bin/sleep 9999\n'
  unit batch@.service '[Unit]\nPartOf=batch.target\n[Service]\nExecStart=/bin/sleep 9999\n'
  unit batch.target '[Unit]\nWants=batch@1.service batch@2.service\n'
  unit exact.service '[Service]\nType=exec\nExecStart=/bin/false\n'
  mkdir -p "$folder/exact.service.d"
  unit exact.service.d/better.conf '[Service]\nExecStart=\nExecStart=/bin/sleep 9999\n'
  unit side.service '[Unit]\nPartOf=exact.service\n[Service]\nExecStart=/bin/sleep 9999\n'
  unit keep.service '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n'
  unit always.service '[Service]\nExecStart=/bin/sleep 9999\nRestart=always\n'
  unit ready.service "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'sleep 0.5; systemd-notify --ready; exec sleep 9999'\n"
  systemctl daemon-reload
  ;;
begin)
  # shellcheck disable=SC2086
  systemctl start $running && states > /run/kinds
  for unit in $running; do grep -q "^$unit active$" /run/kinds || { cat /run/kinds; exit 1; }; done
  ;;
same)
  states | diff /run/kinds -
  ;;
none)
  (exec 3<> /dev/tcp/127.0.0.1/8100) 2> /dev/null && { echo "somebody listens"; exit 1; }
  touch /run/spool-full
  sleep 1
  [ -e /run/spool-full ] || { echo "the path was looked at"; exit 1; }
  rm /run/spool-full
  ! states | grep -E ' (active|activating|deactivating|reloading)$'
  ;;
user)
  systemctl stop shop
  mkdir -p /root/.config/systemd/user
  sed -e '/^User=/d; /^Group=/d; s/^WantedBy=.*/WantedBy=default.target/' "$(systemctl show --value --property=FragmentPath shop)" \
    > /root/.config/systemd/user/shop.service
  # These hosts have no logind, which is what starts it elsewhere.
  mkdir -p /run/user/0 && chmod 700 /run/user/0
  systemd-run --unit=manager-of-root --property=Delegate=yes --setenv=XDG_RUNTIME_DIR=/run/user/0 --setenv=HOME=/root \
    /lib/systemd/systemd --user
  for _ in $(seq 300); do mine is-active default.target > /dev/null 2>&1 && break; sleep 0.2; done
  mine start shop && mine is-active shop
  ;;
user-serves)
  mine is-active shop && ! systemctl is-active shop
  case $(readlink /srv/shop/current) in */"$2") ;; *) exit 1 ;; esac
  case $(readlink "/proc/$(mine show --value --property=MainPID shop)/cwd") in */"$2"*) ;; *) exit 1 ;; esac
  ;;
no-user)
  mine stop shop
  rm -r /root/.config/systemd
  systemctl stop manager-of-root
  rm -r /run/user/0
  systemctl start shop
  ;;
remove)
  # shellcheck disable=SC2086
  systemctl stop $all
  for unit in socketed.socket socketed.service mail.timer mail.service spool.path spool.service web@.service batch@.service \
    batch.target exact.service exact.service.d side.service keep.service always.service ready.service; do
    rm -r "${folder:?}/$unit"
  done
  systemctl daemon-reload
  ;;
esac
