// The CPU quota of this process's cgroups, in processors: what a container's `--cpus` sets. Pure
// parsers over any bytes, and one function that reads below a root directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvcache {

// The text of cpu.max (v2): "50000 100000" is half a processor, "max 100000" is no limit.
std::optional<double> parse_cpu_max(std::string_view text) noexcept;

// The texts of cpu.cfs_quota_us (-1 is no limit) and cpu.cfs_period_us (v1).
std::optional<double> parse_cfs_quota(std::string_view quota_us,
                                      std::string_view period_us) noexcept;

// The lowest quota of all levels from the own group up to the root, in processors; nothing if no
// level has one. `root` is prepended to every path ("" for the machine itself).
std::optional<double> read_cpu_quota(const std::string& root);

} // namespace kvcache
