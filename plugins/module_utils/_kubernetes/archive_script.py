# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What runs in the container of an archive. A shell, awk, coreutils or busybox, and the programs of PostgreSQL are all it needs."""

from __future__ import annotations

#: awk: the URL of a database, as SQLAlchemy reads it, as exports of libpq's variables. The password goes through a pipe into the
#: environment, never into an argument or a file.
URL = r"""
function hex(text,  i, value) {
  text = tolower(text)
  for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
  return value
}
function decoded(text,  out, i) {
  while ((i = index(text, "%")) > 0) {
    out = out substr(text, 1, i - 1) sprintf("%c", hex(substr(text, i + 1, 2)))
    text = substr(text, i + 3)
  }
  return out text
}
function quoted(text,  parts, count, i, out) {
  count = split(text, parts, "\047")
  out = count ? parts[1] : ""
  for (i = 2; i <= count; i++) out = out "\047\\\047\047" parts[i]
  return "\047" out "\047"
}
function server(name, port) { # what the query says of servers takes the place of what stands before it
  hosts = hosts (named++ ? "," : "") name
  if (port != "") given = given (given == "" ? "" : ",") port
}
BEGIN {
  rest = ENVIRON["DBOPS_DATABASE_URL"]
  if (rest !~ /^postgres(ql)?([+][A-Za-z0-9_]+)?:\/\//) exit 3
  asyncpg = rest ~ /^[a-z]*[+]asyncpg:/
  sub(/^[^:]*:\/\//, "", rest)
  if (match(rest, /^[^:\/@]*(:[^@]*)?@/)) {
    login = substr(rest, 1, RLENGTH - 1)
    rest = substr(rest, RLENGTH + 1)
    i = index(login, ":")
    value["PGUSER"] = decoded(i ? substr(login, 1, i - 1) : login)
    if (i) value["PGPASSWORD"] = decoded(substr(login, i + 1))
  }
  if (substr(rest, 1, 1) == "[") {
    i = index(rest, "]")
    value["PGHOST"] = substr(rest, 2, i - 2)
    rest = substr(rest, i + 1)
  } else if (match(rest, /^[^:\/?]+/)) {
    value["PGHOST"] = substr(rest, 1, RLENGTH)
    rest = substr(rest, RLENGTH + 1)
  }
  if (match(rest, /^:[0-9]*/)) {
    value["PGPORT"] = substr(rest, 2, RLENGTH - 1)
    rest = substr(rest, RLENGTH + 1)
  }
  if (match(rest, /^\/[^?]*/)) {
    value["PGDATABASE"] = decoded(substr(rest, 2, RLENGTH - 1))
    rest = substr(rest, RLENGTH + 1)
  }
  count = split(substr(rest, 2), pairs, "&")
  for (n = 1; n <= count; n++) {
    i = index(pairs[n], "=")
    key = substr(pairs[n], 1, i - 1)
    text = substr(pairs[n], i + 1)
    gsub(/[+]/, " ", text)
    text = decoded(text)
    if (key !~ /^[a-z_]+$/) continue
    if (key == "host") {
      several = split(text, names, ",")
      for (m = 1; m <= several; m++) {
        i = match(names[m], /:[0-9]+$/)
        if (i) server(substr(names[m], 1, i - 1), substr(names[m], i + 1)); else server(names[m], "")
      }
      continue
    }
    if (asyncpg && key == "ssl") {
      key = "sslmode"
      text = text == "true" ? "require" : text == "false" ? "disable" : text
    }
    name = toupper(key)
    if (key == "application_name") name = "APPNAME"
    else if (key == "dbname") name = "DATABASE"
    else if (key != "connect_timeout") gsub(/_/, "", name)
    if ((key == "user" || key == "password" || key == "dbname") && value["PG" name] != "") continue
    value["PG" name] = text
  }
  if (hosts != "") value["PGHOST"] = hosts
  if (given != "") value["PGPORT"] = given
  for (name in value) if (value[name] != "") print "export " name "=" quoted(value[name])
}
"""

SCRIPT = r"""
umask 077
export LC_ALL=C PATH="${DBOPS_PROGRAMS:+$DBOPS_PROGRAMS:}$PATH"
target=$DBOPS_DIRECTORY/$DBOPS_NAME
partial=$DBOPS_DIRECTORY/.dbops-partial-$DBOPS_NAME

reply() { # ok, facts, error: the answer, in pieces that no container runtime cuts
  printf '{"event":"reply","protocol":%s,"ok":%s,"facts":%s,"error":%s}' "$DBOPS_PROTOCOL" "$1" "$2" "$3" | base64 | tr -d '\n' |
    awk -v mark="$DBOPS_MARK" -v size=6000 '{
      count = int((length($0) + size - 1) / size)
      for (i = 1; i <= count; i++) printf "<%s>:0:%d/%d:%s;\n", mark, i, count, substr($0, (i - 1) * size + 1, size)
    }'
}

fail() { # kind, text
  echo "dbops.alembic: failed ($1): $2"
  text=$(printf '%s' "$2" | head -c 3000 | tr '\011' ' ' | tr -d '\000-\010\013-\037' | sed 's/\\/\\\\/g; s/"/\\"/g' |
    awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }')
  { printf '{"ok":false,"kind":"%s","message":"%s"}' "$1" "$text" >/dev/termination-log; } 2>/dev/null || :
  reply false '{}' "{\"kind\":\"$1\",\"message\":\"$text\"}"
  exit 1
}

run() { # what failed, in words; the command
  what=$1
  shift
  "$@" >"$scratch/said" 2>&1 || fail archive_failed "$what failed, $1 ended with status $?: $(tail -n 20 "$scratch/said")"
}

sum() {
  if [ -d "$1" ]; then
    find "$1" -type f | sort | while read -r file; do sha256sum <"$file"; done | cut -c1-64 | tr -d '\n' | sha256sum | cut -c1-64
  elif [ -f "$1" ]; then
    sha256sum <"$1" | cut -c1-64
  fi
}

bytes() { find "$1" -type f | while read -r file; do wc -c <"$file"; done | awk '{ total += $1 } END { printf "%.0f", total }'; }

free() { df -Pk "$DBOPS_DIRECTORY" | awk 'NR > 1 { printf "%.0f", $4 * 1024; exit }'; }

described() { # the text beside an archive
  [ ! -f "$1" ] || cat "$1"
}

address() { # where the database is, as libpq takes it, and of which server archives are: as the role backup tells it of a host's
  [ -z "$server" ] || return 0
  settings=$(awk "$DBOPS_URL") || fail options_invalid "The key of the Secret holds no URL of a PostgreSQL database."
  eval "$settings"
  unset settings DBOPS_DATABASE_URL
  [ -z "$DBOPS_URL_NAMES" ] || [ "$DBOPS_URL_NAMES" = "${PGDATABASE:-$DBOPS_URL_NAMES}" ] || fail wrong_database \
    "The URL in the Secret names the database $PGDATABASE, and this is about $DBOPS_URL_NAMES."
  server=$(printf '%s' "$(first "$PGHOST" "${PGHOSTADDR:-localhost}"):$(first "$PGPORT" 5432)" | tr '[:upper:]' '[:lower:]')
  [ -n "$PGHOST$PGHOSTADDR" ] || [ -z "$PGSERVICE" ] || server="service $PGSERVICE"
  named="\"server\":\"$(escaped "$server")\""
  { printf '%s\n' "$named" && printf '%s\n' "$DBOPS_SERVERS" | sed -n 's/^./"server":&/p'; } >"$scratch/servers"
}

first() { # of several, or what there is instead
  [ -n "$1" ] && printf '%s' "${1%%,*}" || printf '%s' "$2"
}

escaped() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }

connect() { # the program that will
  address
  [ -z "$DBOPS_DATABASE" ] || export PGDATABASE="$DBOPS_DATABASE"
  command -v "$1" >/dev/null || fail options_invalid "The image has no $1 in $PATH."
}

is_plain() { # a name: nothing is removed or replaced that is no immediate child of the folder
  case $1 in
    '' | .* | -* | */*) return 1 ;;
  esac
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

is_ours() { # what is written beside the archive, or was about to be, names it and its database
  for text in "$target.json" "$partial.json"; do
    [ -f "$text" ] && [ ! -L "$text" ] && [ ! -L "$target" ] || continue
    printf '%s\n' "$DBOPS_PROOF" | while read -r line; do grep -qF -e "$line" "$text" || exit 1; done && return 0
  done
  return 1
}

is_of_server() { # what is written beside the archive, or was about to be, names the server of the URL, or a former address of it
  for text in "$target.json" "$partial.json"; do
    [ ! -f "$text" ] || grep -qF -f "$scratch/servers" "$text" || return 1
  done
}

dump() { # options; into $partial
  if [ -z "$DBOPS_COUNT" ]; then
    run "Writing the archive" pg_dump "$@" "--file=$partial"
    return
  fi
  command -v psql >/dev/null || fail options_invalid "The image has no psql in $PATH."
  # psql holds the snapshot while pg_dump reads it, and counts in it afterwards
  { printf 'set --'; printf " '%s'" "$@"; } >"$scratch/dump"
  cat >>"$scratch/dump" <<'END'

pg_dump "$@" "--snapshot=$DBOPS_SNAPSHOT" "--file=$partial" >"$scratch/said" 2>&1 </dev/null
status=$?
echo "$status" >"$scratch/status"
[ "$status" = 0 ] && echo off || echo on
END
  rm -f "$scratch/status"
  export partial
  counted=0
  printf '%s\n' "$DBOPS_COUNT" |
    psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 >"$scratch/counted" 2>"$scratch/unread" || counted=$?
  status=$(cat "$scratch/status" 2>/dev/null || echo 0)
  [ "$status" = 0 ] ||
    fail archive_failed "Writing the archive failed, pg_dump ended with status $status: $(tail -n 20 "$scratch/said")"
  [ "$counted" = 0 ] || fail archive_failed "The rows of the archive could not be counted: $(tail -n 20 "$scratch/unread")"
}

is_proved() { # or nobody asked
  [ -z "$DBOPS_COUNT" ] || grep -q '"proved":true' "$target.json"
}

archive() {
  is_plain "$DBOPS_NAME" || fail name_invalid "The name of an archive can not be '$DBOPS_NAME'. Nothing was touched."
  address
  if [ -z "$DBOPS_DATABASE" ]; then
    own="\"database\":\"$(escaped "$PGDATABASE")\""
    DBOPS_DESCRIPTION=$DBOPS_DESCRIPTION,$own
    DBOPS_PROOF=$(printf '%s\n%s' "$DBOPS_PROOF" "$own")
  fi
  if is_there "$target" || is_there "$target.json"; then
    is_ours || fail not_ours \
      "$target is left alone: nothing beside it shows that it was made by this collection; remove it by hand if nobody needs it."
    is_of_server || fail not_ours "$target is left alone: it is an archive of another server than $server, or of one that it\
 does not name. Give this one another name (backup_archive_name), or each server a claim of its own. Where it is the same server at\
 a former address, add that to backup_archive_servers."
  fi
  known=$(sed -n 's/.*"sha256":"\([0-9a-f]*\)".*/\1/p' "$target.json" 2>/dev/null)
  if [ -n "$known" ] && is_proved && [ "$(sum "$target")" = "$known" ]; then
    reply true "{\"made\":false,\"archive\":$(described "$target.json")}" null
    return
  fi
  connect pg_dump
  # What is older than a Job may be was left by one that was killed.
  find "$DBOPS_DIRECTORY" -maxdepth 1 \
    -name '.dbops-partial-*' ! -name '*.json' -mmin "+$DBOPS_DEADLINE_MINUTES" -exec rm -rf {} + 2>/dev/null || :
  rm -rf "$partial"
  [ -w "$DBOPS_DIRECTORY" ] || fail archive_failed "$DBOPS_DIRECTORY can not be written to by user $(id -u)."
  left=$(free)
  [ "$left" -ge "$DBOPS_NEEDED_BYTES" ] || fail insufficient_space \
    "The claim $DBOPS_CLAIM has $left bytes free; the archive may need up to $DBOPS_NEEDED_BYTES."
  trap 'rm -rf "$partial" "$scratch"' EXIT
  if [ "$DBOPS_FORMAT" = directory ]; then
    dump --format=directory "--jobs=$DBOPS_JOBS"
  else
    dump --format=custom
  fi
  run "Reading the archive back" pg_restore --list "$partial"
  size=$(bytes "$partial") sha=$(sum "$partial")
  # What it is is known before it has its name, and until the former one is gone, so that half a replacement is still ours.
  printf '%s,%s,"bytes":%s,"sha256":"%s","created_at":"%s"}' "$DBOPS_DESCRIPTION" "$named" "$size" "$sha" \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$partial.json"
  rm -rf "$target"
  mv "$partial" "$target" || fail archive_failed "The archive could not be renamed to $target."
  mv "$partial.json" "$target.json" || fail archive_failed "What $target is could not be written beside it."
  sync
  tables=
  [ -z "$DBOPS_COUNT" ] || tables=",\"tables\":{$(awk '{ printf "%s%s", (NR > 1 ? "," : ""), $0 }' "$scratch/counted")}"
  reply true "{\"made\":true,\"archive\":$(described "$target.json")$tables}" null
}

describe() { # what is known of the archive by now, in the place of what stands beside it
  is_plain "$DBOPS_NAME" || fail name_invalid "The name of an archive can not be '$DBOPS_NAME'. Nothing was touched."
  sha=$(sum "$target")
  [ -n "$sha" ] || fail archive_missing "The archive $target is not there. Nothing was touched."
  is_ours || fail not_ours "$target.json is left alone: it does not say that $target was made by this collection."
  [ "$sha" = "$DBOPS_SHA256" ] ||
    fail archive_damaged "The archive $target is damaged: its checksum is $sha and was $DBOPS_SHA256. Nothing was touched."
  if [ "$(cat "$target.json")" = "$DBOPS_DESCRIPTION" ]; then
    reply true '{"made":false}' null
    return
  fi
  printf '%s' "$DBOPS_DESCRIPTION" >"$partial.json" && mv "$partial.json" "$target.json" ||
    fail archive_failed "What $target is could not be written beside it."
  sync
  reply true '{"made":true}' null
}

list() {
  address
  found=
  for file in "$DBOPS_DIRECTORY/$DBOPS_PREFIX"*.json; do
    [ ! -f "$file" ] || found="$found${found:+,}\"$(base64 <"$file" | tr -d '\n')\"" # it may be anybody's, and anything
  done
  sha=
  [ -z "$DBOPS_NAME" ] || sha=$(sum "$target")
  reply true "{\"archives\":[$found],\"free_bytes\":$(free),\"sha256\":\"$sha\",$named}" null
}

restore() {
  sha=$(sum "$target")
  [ -n "$sha" ] || fail archive_missing "The archive $target is not there. Nothing was touched."
  [ "$sha" = "$DBOPS_SHA256" ] ||
    fail archive_damaged "The archive $target is damaged: its checksum is $sha and was $DBOPS_SHA256. Nothing was touched."
  connect pg_restore
  if [ -z "$DBOPS_STATEMENTS" ]; then
    [ "$DBOPS_FORMAT" = directory ] || DBOPS_JOBS=1
    run "Restoring the archive" pg_restore --exit-on-error "--jobs=$DBOPS_JOBS" "--dbname=$PGDATABASE" "$target"
  else
    export PGOPTIONS="${PGOPTIONS:-} -c lock_timeout=30s"
    pg_restore --list "$target" >"$scratch/all" 2>"$scratch/unread" ||
      fail archive_failed "The archive can not be read: $(tail -n 20 "$scratch/unread")"
    printf '%s\n' "$DBOPS_LEAVE_OUT" >"$scratch/kept"
    # An entry is "number; number number what owner"; what the database has already is left out, whoever owns it.
    awk 'NR == FNR { if ($0 != "") kept[$0] = 1; next }
      { entry = $0; sub(/^[0-9]+; [0-9]+ [0-9]+ /, "", entry); owned = entry; sub(/ [^ ]*$/, "", owned) }
      !(entry in kept) && !(owned in kept)' "$scratch/kept" "$scratch/all" >"$scratch/list"
    # The end of the transaction is the last that pg_restore writes, so an archive that can't be read to its end changes nothing.
    {
      printf 'BEGIN;\n%s\n' "$DBOPS_STATEMENTS"
      pg_restore --single-transaction --use-list="$scratch/list" --file=- "$target" && printf '%s\n' '\echo all is restored'
    } 2>"$scratch/unread" | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 >"$scratch/said" 2>&1
    grep -q '^all is restored$' "$scratch/said" ||
      fail archive_failed "Restoring the archive failed: $(tail -n 20 "$scratch/unread" "$scratch/said")"
  fi
  reply true '{}' null
}

remove() {
  printf '%s\n' "$DBOPS_NAMES" | while read -r name; do
    is_plain "$name" && rm -rf "${DBOPS_DIRECTORY:?}/$name" && rm -f "$DBOPS_DIRECTORY/$name.json" || exit 1
  done || fail archive_failed "An archive could not be removed from $DBOPS_DIRECTORY."
  reply true '{}' null
}

server=
scratch=$(mktemp -d) || fail archive_failed "No temporary folder can be made in ${TMPDIR:-/tmp}."
trap 'rm -rf "$scratch"' EXIT
export scratch
"$DBOPS_OPERATION"
"""
