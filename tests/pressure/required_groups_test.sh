#!/usr/bin/env bash
# Where memory groups are required and none can be made, the tests that need one fail and do not skip.
#   required_groups_test.sh PRESSURE_TESTS
set -euo pipefail
tests=$1

# Hides the groups of a machine that has some. Without the right to do that, none can be made either.
without_groups=()
# The mount stays inside: / is private, or, in a chroot, where it is no mount point, the groups are.
hide=(unshare --mount --propagation unchanged sh -c '
  { mount --make-rprivate / || mount --make-rprivate /sys/fs/cgroup; } 2>/dev/null &&
    mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh)
if "${hide[@]}" true 2>/dev/null; then without_groups=("${hide[@]}"); fi

for one in pressure.serves_in_16_mib pressure_v2.survives_a_lower_limit_where_memory_high_goes_first; do
  status=0
  output=$(REQUIRED_CGROUPS=v2 "${without_groups[@]}" "$tests" "--gtest_filter=$one" 2>&1) || status=$?
  if ((status == 0)) || [[ $output != *"1 FAILED TEST"* || $output == *SKIPPED* ]]; then
    printf 'FAILED: %s did not fail without a memory group:\n%s\n' "$one" "$output" >&2
    exit 1
  fi
done
