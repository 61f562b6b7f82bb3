#include "memory/cpu_quota.hpp"

#include "memory/cgroup.hpp"
#include "memory/reread_file.hpp"
#include "memory/text.hpp"

namespace kvcache {

namespace {

std::optional<double> ratio(std::optional<std::uint64_t> quota,
                            std::optional<std::uint64_t> period) noexcept {
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::string read_once(const std::string& path) {
  std::string text;
  return reread_file(path).read(text) ? text : std::string();
}

std::optional<double> quota_of(const cgroup_directory& group, const std::string& root) {
  const std::string directory = root + group.path;
  if (group.version == cgroup_version::v2) return parse_cpu_max(read_once(directory + "/cpu.max"));
  return parse_cfs_quota(read_once(directory + "/cpu.cfs_quota_us"),
                         read_once(directory + "/cpu.cfs_period_us"));
}

} // namespace

std::optional<double> parse_cpu_max(std::string_view text) noexcept {
  text = text::trim(text);
  const auto quota = text::take_until(text, ' ');
  return quota ? ratio(text::parse_unsigned(*quota), text::parse_unsigned(text)) : std::nullopt;
}

std::optional<double> parse_cfs_quota(std::string_view quota_us,
                                      std::string_view period_us) noexcept {
  return ratio(text::parse_unsigned(quota_us), text::parse_unsigned(period_us));
}

std::optional<double> read_cpu_quota(const std::string& root) {
  std::optional<double> lowest;
  const auto groups =
      find_groups(read_once(root + "/proc/self/cgroup"), read_once(root + "/proc/self/mountinfo"),
                  cgroup_controller::cpu, root);
  for (const cgroup_directory& group : groups) {
    const auto quota = quota_of(group, root);
    if (quota && (!lowest || *quota < *lowest)) lowest = quota;
  }
  return lowest;
}

} // namespace kvcache
