# shellcheck shell=bash
# Shared by the scripts: the checkout, missing packages, and the number of parallel compilers.
# Sourced, never run. Everything here works as root or with sudo, without questions.

# The physical path, independent of links and CDPATH: CMake rebuilds if the path of a checkout changes.
repo=$(readlink -f "${BASH_SOURCE[0]}")
repo=${repo%/scripts/lib.sh}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if ((EUID == 0)); then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root to install packages: run it as root, or install sudo"
  fi
}

# Debian 12 has two versions of Boost, and its default is too old. Elsewhere the default is new enough.
boost_package() {
  local id='' version=''
  id=$(. /etc/os-release && printf %s "${ID:-}")
  version=$(. /etc/os-release && printf %s "${VERSION_ID:-}")
  if [[ $id == debian && $version == 12 ]]; then echo libboost1.81-dev; else echo libboost-dev; fi
}

build_packages() {
  # make: gcc runs it to optimise at link time on all cores.
  echo g++ cmake ninja-build make "$(boost_package)" nlohmann-json3-dev libcuckoo-dev \
    libspdlog-dev libcli11-dev libxxhash-dev
}

# Further packages of the tests: programs that the service is tested with, and their tools.
test_packages() {
  echo ccache libgtest-dev libgmock-dev curl wrk python3 python3-yaml python3-jsonschema shellcheck prometheus haproxy \
    openssl systemd varnish nginx-light apache2
}

# Packages of some tests that not every release has; without them such a test is skipped, and says so.
# openapi-spec-validator: Debian 13 and later. chromium: Debian; that of Ubuntu is a stub that needs snap.
optional_test_packages() { echo python3-openapi-spec-validator chromium; }

# Further ones of the test of the page, which gets the rest from npm's registry. Other packages of node replace these.
browser_test_packages() { command -v npm >/dev/null || echo nodejs npm; }

# Prints those of the named packages that this release has, as packages of its own.
# REQUIRES: the lists of apt are present.
available_packages() {
  local name candidate
  for name in "$@"; do
    candidate=$(LC_ALL=C apt-cache policy "$name" 2>/dev/null | sed -n 's/^  Candidate: //p')
    if [[ $candidate == [0-9]* && $candidate != *snap* ]]; then echo "$name"; fi
  done
}

# Installs those of the named packages that are missing; changes nothing if all are installed.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    die "these packages are missing and this is no Debian or Ubuntu: ${missing[*]}"
  say "installing ${missing[*]}"
  # Keeps packages from starting their services (such as Prometheus).
  local policy=/usr/sbin/policy-rc.d made=
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy"
    made=1
  fi
  # Retries if a mirror does not respond.
  local status=0 patience=(-o Acquire::Retries=5)
  { as_root apt-get update -qq "${patience[@]}" &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${patience[@]}" -o Dpkg::Use-Pty=0 "${missing[@]}" >&2; } || status=$?
  [[ -z $made ]] || as_root rm -f "$policy"
  ((status == 0)) || die "apt-get could not install: ${missing[*]}"
}

# One compiler per core, and at most one per 1.2 GB of memory, so that a machine with 2 GB can build.
build_jobs() {
  local cores available_kb by_memory
  cores=$(nproc)
  available_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  by_memory=$((available_kb / 1200000))
  ((by_memory >= 1)) || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

can_write_to() { mkdir -p "$1" 2>/dev/null && [[ -w $1 && (! -e $1/CMakeCache.txt || -w $1/CMakeCache.txt) ]]; }

# build_directory PRESET: in the checkout, or in the cache of the user if the checkout is not writable or belongs
# to another user.
build_directory() {
  local inside=$repo/build/$1 outside
  if can_write_to "$inside"; then echo "$inside"; return; fi
  outside=${XDG_CACHE_HOME:-${HOME:-}/.cache}/keyvalue-cache/$(cksum <<<"$repo" | cut -d ' ' -f 1)/$1
  can_write_to "$outside" ||
    die "cannot build: neither $inside nor $outside can be written to; set XDG_CACHE_HOME to a directory that can"
  echo "$outside"
}

# For scripts that leave results in the checkout.
require_writable_checkout() {
  can_write_to "$repo/build" || die "cannot build: $repo/build cannot be written to; use a checkout of your own"
}

# CMake refuses a build directory that was moved, or copied, with its checkout.
forget_moved_build() {
  local cache=$1/CMakeCache.txt made_in
  made_in=$(sed -n 's/^CMAKE_CACHEFILE_DIR:INTERNAL=//p' "$cache" 2>/dev/null || true)
  [[ -z $made_in || $made_in == "$1" ]] || rm -rf "$cache" "$1/CMakeFiles"
}

# build PRESET [CMAKE-ARG...] [-- TARGET...]: configures and builds; silent if nothing changed.
build() {
  local preset=$1 args=() targets=() directory configured first='' plan
  shift
  while (($#)) && [[ $1 != -- ]]; do args+=("$1"); shift; done
  (($#)) && shift
  targets=("$@")
  (
    cd "$repo" || exit
    directory=$(build_directory "$preset") || exit
    forget_moved_build "$directory"
    [[ -e $directory/CMakeCache.txt ]] || first=1
    configured=$(cmake --preset "$preset" -B "$directory" "${args[@]}" 2>&1) ||
      { printf '%s\n' "$configured" >&2; exit 1; }
    plan=$(cmake --build "$directory" ${targets:+--target "${targets[@]}"} -- -n 2>&1) || true
    [[ $plan != *"no work to do"* ]] || exit 0
    say "building${first:+ (the first time takes a few minutes)}"
    cmake --build "$directory" -j "$(build_jobs)" ${targets:+--target "${targets[@]}"} >&2
  )
}
