#include "memory/memory_monitor.hpp"

#include <optional>
#include <utility>

#include "memory/meminfo.hpp"
#include "memory/text.hpp"

namespace kvcache {

namespace {

// At the usual ten reads a second a move to another group is noticed within 0.8 s.
constexpr unsigned reads_between_lookups = 8;

std::optional<std::uint64_t> read_limit(reread_file& file, std::string& buffer) {
  return file.read(buffer) ? parse_memory_limit(buffer) : std::nullopt;
}

std::optional<std::uint64_t> read_number(reread_file& file, std::string& buffer) {
  return file.read(buffer) ? text::parse_unsigned(buffer) : std::nullopt;
}

// v1 counts a group alone under `name`, and with all below it under `total_name`.
std::uint64_t hierarchical_stat(std::string_view stat, std::string_view total_name,
                                std::string_view name) noexcept {
  if (const auto total = text::find_stat(stat, total_name)) return *total;
  return text::find_stat(stat, name).value_or(0);
}

bool fuller(const memory_reading& a, const memory_reading& b) noexcept {
  // Cross-multiplying would overflow; the ratio's 53 bits are far finer than any reading.
  return static_cast<double>(a.used_bytes) / static_cast<double>(a.limit_bytes) >
         static_cast<double>(b.used_bytes) / static_cast<double>(b.limit_bytes);
}

} // namespace

memory_monitor::group_level::group_level(const cgroup_directory& directory, const std::string& root)
    : version_(directory.version),
      source_((version_ == cgroup_version::v2 ? "cgroup v2 " : "cgroup v1 ") + directory.path),
      current_(root + directory.path +
               (version_ == cgroup_version::v2 ? "/memory.current" : "/memory.usage_in_bytes")),
      limit_(root + directory.path +
             (version_ == cgroup_version::v2 ? "/memory.max" : "/memory.limit_in_bytes")),
      high_(root + directory.path + "/memory.high"),
      stat_(root + directory.path + "/memory.stat"),
      swap_(root + directory.path + "/memory.swap.current") {}

bool memory_monitor::group_level::read(memory_reading& to, std::string& buffer) {
  const bool known = version_ == cgroup_version::v2 ? read_v2(to, buffer) : read_v1(to, buffer);
  if (known) to.source = source_;
  return known;
}

bool memory_monitor::group_level::read_v1(memory_reading& to, std::string& buffer) {
  const auto own_limit = read_limit(limit_, buffer);
  const auto current = read_number(current_, buffer);
  if (!stat_.read(buffer)) buffer.clear();
  std::optional<std::uint64_t> inherited = text::find_stat(buffer, "hierarchical_memory_limit");
  if (inherited) inherited = parse_memory_limit(std::to_string(*inherited));
  const auto limit = lower_limit(own_limit, inherited);
  if (!limit || !current) return false;
  to.limit_bytes = *limit;
  to.used_bytes =
      used_bytes(*current, hierarchical_stat(buffer, "total_inactive_file", "inactive_file"),
                 hierarchical_stat(buffer, "total_swap", "swap"));
  return true;
}

bool memory_monitor::group_level::read_v2(memory_reading& to, std::string& buffer) {
  const auto limit = lower_limit(read_limit(limit_, buffer), read_limit(high_, buffer));
  if (!limit) return false; // most levels: memory.stat, the dear one, is not read for nothing
  const auto current = read_number(current_, buffer);
  if (!current) return false;
  const std::uint64_t swapped = read_number(swap_, buffer).value_or(0);
  const std::uint64_t inactive_file =
      stat_.read(buffer) ? text::find_stat(buffer, "inactive_file").value_or(0) : 0;
  to.limit_bytes = *limit;
  to.used_bytes = used_bytes(*current, inactive_file, swapped);
  return true;
}

memory_monitor::memory_monitor(memory_monitor_options options)
    : options_(std::move(options)),
      self_cgroup_(options_.root + "/proc/self/cgroup"),
      mountinfo_(options_.root + "/proc/self/mountinfo"),
      meminfo_(options_.root + "/proc/meminfo"),
      self_status_(options_.root + "/proc/self/status") {}

const memory_report& memory_monitor::read(std::uint64_t own_bytes) {
  if (reads_until_lookup_ == 0) {
    look_up_groups();
    reads_until_lookup_ = reads_between_lookups;
  }
  --reads_until_lookup_;

  // Readings keep their places so that the strings in them keep their memory.
  std::size_t known = 0;
  const auto next = [&]() -> memory_reading& {
    if (known == report_.levels.size()) report_.levels.emplace_back();
    return report_.levels[known];
  };
  for (group_level& group : groups_) {
    if (group.read(next(), buffer_)) ++known;
  }
  if (read_host(next())) ++known;
  // Where the kernel tells of the rest but not of this process, the cache's own account stands for
  // it: the limit that was set still holds.
  if (options_.memory_limit_bytes != 0 && (read_own_process(next(), own_bytes) || known != 0)) {
    ++known;
  }

  report_.estimated = known == 0;
  report_.estimate_began = report_.estimated && !std::exchange(estimated_before_, true);
  if (report_.estimated) {
    memory_reading& estimate = next();
    estimate.used_bytes = own_bytes;
    estimate.limit_bytes =
        options_.memory_limit_bytes != 0 ? options_.memory_limit_bytes : assumed_limit_bytes;
    estimate.source = "estimate";
    ++known;
  }
  report_.levels.resize(known);
  choose_fullest();
  return report_;
}

void memory_monitor::look_up_groups() {
  if (!self_cgroup_.read(buffer_) || !mountinfo_.read(second_buffer_)) return;
  if (buffer_ == known_self_cgroup_ && second_buffer_ == known_mountinfo_) return;
  known_self_cgroup_.swap(buffer_);
  known_mountinfo_.swap(second_buffer_);
  auto directories =
      find_groups(known_self_cgroup_, known_mountinfo_, cgroup_controller::memory, options_.root);
  // Mounts come and go on a busy host. The open files are kept where our groups are the same: there
  // may be no descriptors left to open them again.
  if (directories == known_directories_) return;
  known_directories_ = std::move(directories);
  groups_.clear();
  for (const cgroup_directory& directory : known_directories_) {
    groups_.emplace_back(directory, options_.root);
  }
}

bool memory_monitor::read_host(memory_reading& to) {
  if (!meminfo_.read(buffer_)) return false;
  const auto host = parse_meminfo(buffer_);
  if (!host) return false;
  std::uint64_t swapped = 0;
  if (host->swap_in_use && self_status_.read(buffer_)) {
    if (const auto own = parse_process_status(buffer_)) swapped = own->swapped_bytes;
  }
  to.used_bytes = text::saturating_add(host->used_bytes, swapped);
  to.limit_bytes = host->total_bytes;
  to.source = "host";
  return true;
}

// False: the kernel does not tell, and what the cache holds by its own account was put there.
bool memory_monitor::read_own_process(memory_reading& to, std::uint64_t own_bytes) {
  to.used_bytes = own_bytes;
  to.limit_bytes = options_.memory_limit_bytes;
  to.source = "--memory-limit";
  if (!self_status_.read(buffer_)) return false;
  const auto own = parse_process_status(buffer_);
  if (own) to.used_bytes = text::saturating_add(own->resident_bytes, own->swapped_bytes);
  return own.has_value();
}

void memory_monitor::choose_fullest() noexcept {
  report_.fullest = 0;
  for (std::size_t i = 1; i < report_.levels.size(); ++i) {
    if (fuller(report_.levels[i], report_.levels[report_.fullest])) report_.fullest = i;
  }
}

} // namespace kvcache
