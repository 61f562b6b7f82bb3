#include "memory/memory_monitor.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "memory/meminfo.hpp"
#include "memory/text.hpp"

namespace kvcache {

namespace {

// At ten reads per second, a move to another group is noticed within 0.8 s.
constexpr unsigned reads_between_lookups = 8;

constexpr std::uint64_t use_unknown = UINT64_MAX;

// Keeps the last known limit if none can be read.
void refresh_limit(std::uint64_t& known, reread_file& file, std::string& buffer) {
  if (file.read(buffer)) known = parse_memory_limit(buffer).value_or(known);
}

std::optional<std::uint64_t> read_number(reread_file& file, std::string& buffer) {
  return file.read(buffer) ? text::parse_unsigned(buffer) : std::nullopt;
}

constexpr std::string_view sysinfo_source = "sysinfo";
constexpr std::string_view operators_source = "--memory-limit";
constexpr std::string_view addressable_source =
    "the most that one instance can address; run several to use more";

bool lacks_resources(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

bool fuller(const memory_reading& a, const memory_reading& b) noexcept {
  // Cross-multiplying would overflow; the ratio's 53 bits are far finer than any reading.
  return static_cast<double>(a.used_bytes) / static_cast<double>(a.limit_bytes) >
         static_cast<double>(b.used_bytes) / static_cast<double>(b.limit_bytes);
}

} // namespace

std::uint64_t memory_monitor::known_use::settle(std::optional<std::uint64_t> used,
                                                std::uint64_t own_bytes) noexcept {
  if (used)
    others_bytes_ = text::saturating_subtract(*used, own_bytes);
  else if (others_bytes_)
    used = text::saturating_add(*others_bytes_, own_bytes);
  return used.value_or(use_unknown);
}

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

bool memory_monitor::group_level::open() noexcept {
  bool complete = true;
  for (reread_file* file : {&current_, &limit_, &high_, &stat_, &swap_}) {
    if (version_ == cgroup_version::v1 && (file == &high_ || file == &swap_)) continue;
    if (!file->open() && lacks_resources(errno)) complete = false;
  }
  return complete;
}

bool memory_monitor::group_level::read(memory_reading& to, const own_use& own,
                                       std::string& buffer) {
  read_limits(buffer);
  to.limit_bytes = std::min({limit_bytes_, high_bytes_, inherited_bytes_});
  if (to.limit_bytes == no_limit_bytes) return false;
  to.used_bytes = use_.settle(read_used(own, buffer), own.bytes);
  to.source = source_;
  return true;
}

void memory_monitor::group_level::read_limits(std::string& buffer) {
  refresh_limit(limit_bytes_, limit_, buffer);
  if (version_ == cgroup_version::v2) {
    refresh_limit(high_bytes_, high_, buffer);
  } else if (stat_.read(buffer)) {
    group_stat_ = parse_group_stat(buffer, version_);
    if (const auto inherited = text::find_stat(buffer, "hierarchical_memory_limit")) {
      inherited_bytes_ = parse_memory_limit(std::to_string(*inherited)).value_or(inherited_bytes_);
    }
  }
}

std::optional<std::uint64_t> memory_monitor::group_level::read_used(const own_use& own,
                                                                    std::string& buffer) {
  // Only now, since most levels have no limit and memory.stat is dear; v1 has read it for its
  // limit.
  if (version_ == cgroup_version::v2 && stat_.read(buffer)) {
    group_stat_ = parse_group_stat(buffer, version_);
  }
  const auto current = read_number(current_, buffer);
  if (!current) return std::nullopt;
  std::uint64_t counted_twice = 0;
  if (own.swapped_bytes != 0 && group_stat_.zswap_bytes != 0) {
    counted_twice = own_zswap_bytes(group_stat_.zswap_bytes, own.swapped_bytes,
                                    read_number(swap_, buffer).value_or(0));
  }
  const std::uint64_t limit = std::min({limit_bytes_, high_bytes_, inherited_bytes_});
  return text::saturating_add(
      text::saturating_subtract(*current, reclaimable_bytes(group_stat_, limit)),
      text::saturating_subtract(own.swapped_bytes, counted_twice));
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

  std::optional<std::uint64_t> resident;
  if (self_status_.read(buffer_)) {
    if (const auto process = parse_process_status(buffer_)) {
      resident = process->resident_bytes;
      own_swapped_bytes_ = process->swapped_bytes;
    }
  }
  const own_use own{.bytes = own_bytes, .swapped_bytes = own_swapped_bytes_};

  // Readings keep their places so that the strings in them keep their memory.
  std::size_t known = 0;
  const auto next = [&]() -> memory_reading& {
    if (known == report_.levels.size()) report_.levels.emplace_back();
    return report_.levels[known];
  };
  for (group_level& group : groups_) {
    if (group.read(next(), own, buffer_)) ++known;
  }
  const bool host_known = read_host(next(), own);
  if (host_known) ++known;
  fill_unknown_use(known, std::max(resident.value_or(0) + own.swapped_bytes, own_bytes));

  const bool unknown = known == 0;
  report_.estimated = unknown && (options_.memory_limit_bytes == 0 || !resident);
  report_.estimate_began = report_.estimated && !std::exchange(estimated_before_, true);
  const machine_memory machine = host_known ? machine_memory{} : read_machine_memory();
  const process_limit limit =
      limit_of_process(host_known ? host_total_bytes_ : machine.total_bytes);
  if (limit.bytes != 0) {
    read_process_limit(next(), limit, resident, own);
    ++known;
  }
  if (unknown && options_.memory_limit_bytes == 0) {
    memory_reading& estimate = next();
    estimate.limit_bytes = std::max<std::uint64_t>(machine.total_bytes, 1);
    estimate.used_bytes = estimate_used_bytes(machine, own_bytes);
    estimate.source = sysinfo_source;
    ++known;
  }
  report_.levels.resize(known);
  if (machine.total_bytes != 0) {
    for (memory_reading& level : report_.levels) {
      if (level.limit_bytes <= machine.total_bytes) continue;
      level.limit_bytes = machine.total_bytes;
      level.source = sysinfo_source;
    }
  }
  choose_fullest();
  return report_;
}

void memory_monitor::look_up_groups() {
  if (!self_cgroup_.read(buffer_) || !mountinfo_.read(second_buffer_)) return;
  const bool same_membership = buffer_ == known_self_cgroup_;
  if (same_membership && second_buffer_ == known_mountinfo_) return;
  auto directories = find_groups(buffer_, second_buffer_, cgroup_controller::memory, options_.root);
  // Mounts change on a busy host, and may hide a group that the process is still in. Its open files
  // are kept unless reopening would improve on them.
  const bool hidden =
      directories.size() < known_directories_.size() && (same_membership || directories.empty());
  if (!hidden && directories != known_directories_) {
    std::vector<group_level> groups;
    groups.reserve(directories.size());
    bool complete = true;
    for (const cgroup_directory& directory : directories) {
      groups.emplace_back(directory, options_.root);
      complete = groups.back().open() && complete;
    }
    if (!complete && !groups_.empty()) return;
    groups_.swap(groups);
    known_directories_.swap(directories);
    if (!complete) return;
  }
  known_self_cgroup_.swap(buffer_);
  known_mountinfo_.swap(second_buffer_);
}

bool memory_monitor::read_host(memory_reading& to, const own_use& own) {
  std::optional<std::uint64_t> used;
  if (meminfo_.read(buffer_)) {
    if (const auto host = parse_meminfo(buffer_)) {
      host_total_bytes_ = host->total_bytes;
      const std::uint64_t counted_twice =
          own_zswap_bytes(host->zswap_bytes, own.swapped_bytes, host->swapped_bytes);
      used = text::saturating_add(host->used_bytes,
                                  text::saturating_subtract(own.swapped_bytes, counted_twice));
    }
  }
  if (host_total_bytes_ == 0) return false;
  to.used_bytes = host_use_.settle(used, own.bytes);
  to.limit_bytes = host_total_bytes_;
  to.source = "host";
  return true;
}

memory_monitor::process_limit
memory_monitor::limit_of_process(std::uint64_t machine_bytes) const noexcept {
  const std::uint64_t operators = options_.memory_limit_bytes;
  const std::uint64_t addressable = options_.addressable_bytes;
  const std::uint64_t otherwise =
      operators == 0 ? machine_bytes : std::min(operators, machine_bytes);
  if (addressable != 0 && addressable < otherwise) return {addressable, addressable_source};
  return {operators, operators_source};
}

void memory_monitor::read_process_limit(memory_reading& to, const process_limit& limit,
                                        const std::optional<std::uint64_t>& resident,
                                        const own_use& own) {
  std::optional<std::uint64_t> used;
  if (resident) used = text::saturating_add(*resident, own.swapped_bytes);
  to.used_bytes = process_use_.settle(used, own.bytes);
  // Never read: the cache's own accounting replaces it, and the configured limit stays in force.
  if (to.used_bytes == use_unknown) to.used_bytes = own.bytes;
  to.limit_bytes = limit.bytes;
  to.source = limit.source;
}

// The first `count` levels stand in the order from the own group to the host: the use of an outer
// one bounds that of those in it.
void memory_monitor::fill_unknown_use(std::size_t count, std::uint64_t outermost_bytes) noexcept {
  std::uint64_t outer = outermost_bytes;
  for (std::size_t i = count; i-- > 0;) {
    memory_reading& level = report_.levels[i];
    if (level.used_bytes == use_unknown) level.used_bytes = std::min(outer, level.limit_bytes);
    outer = level.used_bytes;
  }
}

void memory_monitor::choose_fullest() noexcept {
  report_.fullest = 0;
  for (std::size_t i = 1; i < report_.levels.size(); ++i) {
    if (fuller(report_.levels[i], report_.levels[report_.fullest])) report_.fullest = i;
  }
}

} // namespace kvcache
