#!/bin/bash
# lossd in a real control group (version 1): as many threads as its CPU quota allows,
# rounded down, at least one.
#
#   cgroup_quota.sh LOSSD LOSSCTL
set -euo pipefail
lossd=$1 lossctl=$2

group=/sys/fs/cgroup/cpu/lossd-test-$$
work=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then
    kill -KILL "$server" 2> /dev/null || true
    wait "$server" 2> /dev/null || true
  fi
  rmdir "$group"
  rm -rf "$work"
}
mkdir "$group"
trap clean_up EXIT
period_us=100000
echo "$period_us" > "$group/cpu.cfs_period_us"
mkfifo "$work/listening"

# threads_with QUOTA_US: sets `threads`.
threads_with() {
  echo "$1" > "$group/cpu.cfs_quota_us"
  bash -c 'echo $$ > "$1/cgroup.procs"; exec "$2" --listen 127.0.0.1:0' - \
    "$group" "$lossd" > "$work/listening" 2> "$work/log" &
  server=$!
  read -r line < "$work/listening"
  threads=$("$lossctl" info --target "${line#listening on }" |
    awk '/threads/ { print $NF }')
  kill -TERM "$server"
  wait "$server"
  server=
}

# expect QUOTA_US THREADS
expect() {
  threads_with "$1"
  echo "quota of $1 us in $period_us: $threads threads, want $2"
  [ "$threads" = "$2" ]
}

threads_with -1
cpus=$threads
expect $((period_us / 2)) 1
expect "$period_us" 1
expect $((cpus * period_us)) "$cpus"
expect $((cpus * period_us - 1)) $((cpus > 1 ? cpus - 1 : 1))
expect $((cpus * period_us * 2)) "$cpus"
