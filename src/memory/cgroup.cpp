#include "memory/cgroup.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "memory/text.hpp"

namespace kvcache {

namespace {

// v1 writes LONG_MAX rounded down to its page size for "unlimited"; no machine has 2^60 bytes.
constexpr std::uint64_t absurd_limit_bytes = std::uint64_t{1} << 60;

// The maximum depth of a hierarchy, which bounds work and descriptors.
constexpr std::size_t levels_max = 32;

// As the kernel sets it for a machine with that much memory: 4·√(KiB), and a quarter more.
std::uint64_t low_watermark_bytes(std::uint64_t memory_bytes) noexcept {
  constexpr double kib = 1024;
  return static_cast<std::uint64_t>(5 * std::sqrt(static_cast<double>(memory_bytes) / kib) * kib);
}

std::string_view name_of(cgroup_controller controller) noexcept {
  switch (controller) {
  case cgroup_controller::memory:
    return "memory";
  case cgroup_controller::cpu:
    return "cpu";
  case cgroup_controller::pids:
    break;
  }
  return "pids";
}

bool lists(std::string_view comma_separated, std::string_view wanted) noexcept {
  while (const auto item = text::take_until(comma_separated, ',')) {
    if (*item == wanted) return true;
  }
  return false;
}

// mountinfo writes blank, tab, line feed and backslash as \ooo.
std::string undo_escapes(std::string_view field) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  plain.reserve(field.size());
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && field.size() - i > 3 && is_octal(field[i + 1]) &&
        is_octal(field[i + 2]) && is_octal(field[i + 3])) {
      const int code = (field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0');
      plain.push_back(static_cast<char>(code & 0xff));
      i += 3;
    } else {
      plain.push_back(field[i]);
    }
  }
  return plain;
}

bool climbs(std::string_view path) noexcept {
  while (const auto part = text::take_until(path, '/')) {
    if (*part == "..") return true;
  }
  return false;
}

// The path of `group` relative to `top`: "" for top itself, "/a/b" below it, nothing elsewhere.
std::optional<std::string_view> below(std::string_view group, std::string_view top) noexcept {
  if (top == "/") top = {};
  if (!group.starts_with(top)) return std::nullopt;
  std::string_view rest = group.substr(top.size());
  if (!rest.empty() && rest.front() != '/') return std::nullopt;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (climbs(rest)) return std::nullopt;
  return rest;
}

void keep_existing(std::vector<std::string>& directories, const std::string& root) {
  std::erase_if(directories, [&](const std::string& path) {
    std::error_code error;
    return !std::filesystem::is_directory(root + path, error);
  });
}

// The levels that the mount showing most of them shows.
std::vector<std::string> visible_levels(const std::vector<cgroup_mount>& mounts,
                                        std::string_view own_group, const std::string& root) {
  std::vector<std::string> best;
  for (const cgroup_mount& mount : mounts) {
    std::vector<std::string> levels = group_directories(mount, own_group);
    keep_existing(levels, root);
    if (levels.size() > best.size()) best = std::move(levels);
  }
  if (!best.empty()) return best;
  for (const cgroup_mount& mount : mounts) best.push_back(mount.point);
  keep_existing(best, root);
  return best;
}

} // namespace

std::optional<std::string> parse_own_group(std::string_view self_cgroup, cgroup_version version,
                                           cgroup_controller controller) {
  // hierarchy-id:controller,controller:path — the path may hold colons
  while (auto line = text::take_until(self_cgroup, '\n')) {
    const auto id = text::take_until(*line, ':');
    const auto controllers = text::take_until(*line, ':');
    if (!id || !controllers || !line->starts_with('/')) continue;
    const bool wanted = version == cgroup_version::v2 ? *id == "0" && controllers->empty()
                                                      : lists(*controllers, name_of(controller));
    if (wanted) return std::string(*line);
  }
  return std::nullopt;
}

std::vector<cgroup_mount> parse_cgroup_mounts(std::string_view mountinfo, cgroup_version version,
                                              cgroup_controller controller) {
  std::vector<cgroup_mount> mounts;
  // id parent device root point options [optional…] - type source super-options
  while (auto line = text::take_until(mountinfo, '\n')) {
    const std::size_t separator = line->find(" - ");
    if (separator == std::string_view::npos) continue;
    std::string_view after = line->substr(separator + 3);
    const auto type = text::take_until(after, ' ');
    static_cast<void>(text::take_until(after, ' ')); // the source is not used
    const auto super_options = text::take_until(after, ' ');
    const bool wanted =
        version == cgroup_version::v2
            ? type == "cgroup2"
            : type == "cgroup" && super_options && lists(*super_options, name_of(controller));
    if (!wanted) continue;

    std::string_view before = line->substr(0, separator);
    for (int skipped = 0; skipped < 3; ++skipped) {
      static_cast<void>(text::take_until(before, ' ')); // id, parent, device
    }
    const auto root = text::take_until(before, ' ');
    const auto point = text::take_until(before, ' ');
    if (!root || !point || !root->starts_with('/') || !point->starts_with('/')) continue;
    mounts.push_back({.root = undo_escapes(*root), .point = undo_escapes(*point)});
  }
  return mounts;
}

std::vector<std::string> group_directories(const cgroup_mount& mount, std::string_view own_group) {
  const std::string point = mount.point == "/" ? std::string() : mount.point;
  std::vector<std::string> directories;
  const auto below_mount = below(own_group, mount.root);
  if (!below_mount) return directories;
  std::string_view rest = *below_mount;
  while (!rest.empty()) {
    directories.push_back(point + std::string(rest));
    rest = rest.substr(0, rest.rfind('/'));
  }
  directories.push_back(mount.point);
  return directories;
}

std::vector<cgroup_directory> find_groups(std::string_view self_cgroup, std::string_view mountinfo,
                                          cgroup_controller controller, const std::string& root) {
  std::vector<cgroup_directory> found;
  for (const cgroup_version version : {cgroup_version::v2, cgroup_version::v1}) {
    const auto own = parse_own_group(self_cgroup, version, controller);
    if (!own) continue;
    const auto mounts = parse_cgroup_mounts(mountinfo, version, controller);
    for (std::string& path : visible_levels(mounts, *own, root)) {
      if (found.size() == levels_max) break;
      found.push_back({.version = version, .path = std::move(path)});
    }
  }
  return found;
}

std::optional<std::uint64_t> parse_memory_limit(std::string_view text) noexcept {
  if (text::trim(text) == "max") return no_limit_bytes;
  const auto limit = text::parse_unsigned(text);
  if (!limit || *limit == 0) return std::nullopt;
  return *limit < absurd_limit_bytes ? *limit : no_limit_bytes;
}

group_stat parse_group_stat(std::string_view text, cgroup_version version) noexcept {
  const auto bytes = [&](std::string_view v2_name, std::string_view v1_name,
                         std::string_view v1_name_alone) {
    if (version == cgroup_version::v2) return text::find_stat(text, v2_name).value_or(0);
    // v1 counts the group with all below it under total_…, and without a hierarchy only itself.
    if (const auto total = text::find_stat(text, v1_name)) return *total;
    return text::find_stat(text, v1_name_alone).value_or(0);
  };
  group_stat stat;
  stat.file_bytes =
      text::saturating_add(bytes("inactive_file", "total_inactive_file", "inactive_file"),
                           bytes("active_file", "total_active_file", "active_file"));
  stat.unwritten_bytes =
      text::saturating_add(bytes("file_dirty", "total_dirty", "dirty"),
                           bytes("file_writeback", "total_writeback", "writeback"));
  if (version == cgroup_version::v2) {
    stat.slab_reclaimable_bytes = text::find_stat(text, "slab_reclaimable").value_or(0);
    stat.zswap_bytes = text::find_stat(text, "zswap").value_or(0);
  }
  return stat;
}

std::uint64_t reclaimable_bytes(const group_stat& stat, std::uint64_t limit_bytes) noexcept {
  const std::uint64_t watermark = low_watermark_bytes(limit_bytes);
  const auto freed = [&](std::uint64_t bytes) { return bytes - std::min(bytes / 2, watermark); };
  return text::saturating_add(
      freed(text::saturating_subtract(stat.file_bytes, stat.unwritten_bytes)),
      freed(stat.slab_reclaimable_bytes));
}

std::uint64_t own_zswap_bytes(std::uint64_t pool_bytes, std::uint64_t own_swapped_bytes,
                              std::uint64_t all_swapped_bytes) noexcept {
  if (own_swapped_bytes == 0 || all_swapped_bytes == 0) return 0;
  if (own_swapped_bytes >= all_swapped_bytes) return pool_bytes;
  const double share =
      static_cast<double>(own_swapped_bytes) / static_cast<double>(all_swapped_bytes);
  return static_cast<std::uint64_t>(static_cast<double>(pool_bytes) * share);
}

} // namespace kvcache
