// How many processors' worth of time the control groups allow this process: what a container's
// `--cpus` sets. Pure parsers over any bytes, and one function that looks under a root directory.
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

// The lowest quota over all levels from the own group up to the root, in processors; nothing where
// none limits. `root` is put before every path ("" for the machine itself).
std::optional<double> read_cpu_quota(const std::string& root);

} // namespace kvcache
