#!/usr/bin/env bash
# promtool_accepts.sh PROGRAM: what PROGRAM prints is valid Prometheus text, and lint clean.
set -euo pipefail
if ! command -v promtool >/dev/null; then
  echo "promtool is missing; it is in Debian's package 'prometheus'" >&2
  exit 1
fi
metrics=$("$1")
complaints=$(promtool check metrics <<<"$metrics" 2>&1) || {
  echo "$complaints" >&2
  exit 1
}
[[ -z $complaints ]] || { echo "$complaints" >&2; exit 1; }
