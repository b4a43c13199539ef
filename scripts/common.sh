# shellcheck shell=bash
# Sourced by demo, test and the CI scripts; `root` is the repo's root there.

# The release build's folder: build/release, or one for temporary files when the
# sources cannot be written to. LOSSD_BUILD_DIR overrides both.
release_dir() {
  if [ -n "${LOSSD_BUILD_DIR-}" ]; then
    echo "$LOSSD_BUILD_DIR"
  elif [ -w "${root:?}" ] || [ -w "$root/build" ]; then
    echo "$root/build/release"
  else
    echo "${TMPDIR:-/tmp}/lossd-$(id -u)/release"
  fi
}

# quietly LOG COMMAND...: the output goes to LOG and is shown on failure only.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  local status=0
  "$@" > "$log" 2>&1 < /dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 200 "$log" >&2
    echo "failed with exit code $status: $* (whole output: $log)" >&2
  fi
  return "$status"
}

# ccache knows an object again by its contents, wherever the clone lies: a second
# clone, and the image's build stage, compile nothing twice.
export CCACHE_BASEDIR=${root:?} CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content

# build PRESET FOLDER LOG [TARGET...]: configures and builds, quietly.
build() {
  local preset=$1 folder=$2 log=$3
  shift 3
  quietly "$log.configure" \
    cmake --preset "$preset" -S "${root:?}" -B "$folder" || return
  quietly "$log" \
    cmake --build "$folder" --parallel "$(nproc)" ${1:+--target "$@"}
}
