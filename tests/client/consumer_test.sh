#!/bin/bash
# Installs the client package, builds the consumer project against it alone and
# runs it against a started lossd.
set -euo pipefail
cmake=$1 build=$2 source=$3 work=$4 lossd=$5 sanitize=$6

rm -rf "$work"
mkdir -p "$work"
"$cmake" --install "$build" --prefix "$work/stage" --component client
flags=${sanitize:+-fsanitize=$sanitize}
"$cmake" -S "$source" -B "$work/build" -G Ninja \
  -DCMAKE_PREFIX_PATH="$work/stage" -DCMAKE_CXX_FLAGS="$flags"
"$cmake" --build "$work/build"

mkfifo "$work/listening"
"$lossd" --listen 127.0.0.1:0 >"$work/listening" 2>"$work/lossd.log" &
server=$!
trap 'kill "$server"; wait "$server" || true' EXIT
read -r line <"$work/listening"
"$work/build/consumer" "${line#listening on }"
