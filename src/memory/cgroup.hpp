// Control groups: which ones this process is in, where they can be read, and what their files say.
// The functions over text are pure and take any bytes; the one that looks at the disk takes the
// root directory, so that tests show it trees of other machines.
//
// What must hold: usage and limit are always taken from the same group. Every group from the own
// one up to the topmost that is visible is a level, for each can be the one that kills.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvcache {

enum class cgroup_version : std::uint8_t { v1, v2 };
enum class cgroup_controller : std::uint8_t { memory, cpu, pids };

// The path of the own group in the hierarchy of the controller, from the text of /proc/self/cgroup.
// For v2 that is the one "0::" line, whichever the controller.
std::optional<std::string> parse_own_group(std::string_view self_cgroup, cgroup_version version,
                                           cgroup_controller controller);

struct cgroup_mount {
  std::string root;  // the group that the mount shows at its top ("/" or a part of the hierarchy)
  std::string point; // where it is mounted, escapes of mountinfo undone
};

// All mounts of that hierarchy, in the order of the text of /proc/self/mountinfo.
std::vector<cgroup_mount> parse_cgroup_mounts(std::string_view mountinfo, cgroup_version version,
                                              cgroup_controller controller);

// The directories of the own group and all those above it that the mount shows, own one first, the
// mount point last. None where the own group does not lie below what the mount shows.
std::vector<std::string> group_directories(const cgroup_mount& mount, std::string_view own_group);

struct cgroup_directory {
  cgroup_version version = cgroup_version::v2;
  std::string path; // as seen by the process: `root` is not in it

  friend bool operator==(const cgroup_directory&, const cgroup_directory&) = default;
};

// All levels of both versions for the controller; on a hybrid system both may be given, and those
// without the controller's files say nothing later. Directories that are not there are left out. Of
// several mounts of one hierarchy the one that shows most levels is taken. Where none shows the own
// group (a namespace or mount made elsewhere), the mount point is: its files are the nearest to
// ours.
std::vector<cgroup_directory> find_groups(std::string_view self_cgroup, std::string_view mountinfo,
                                          cgroup_controller controller, const std::string& root);

// The text of memory.max, memory.high, memory.limit_in_bytes: nothing means "no limit here", which
// is what `max`, the page-rounded "unlimited" of v1, 0 and garble all are.
std::optional<std::uint64_t> parse_memory_limit(std::string_view text) noexcept;

// The lower of two limits, either of which may be absent.
std::optional<std::uint64_t> lower_limit(std::optional<std::uint64_t> a,
                                         std::optional<std::uint64_t> b) noexcept;

// The bytes in use at a group: `current` without the page cache that is dropped first
// (inactive_file), with what was swapped out.
std::uint64_t used_bytes(std::uint64_t current_bytes, std::uint64_t inactive_file_bytes,
                         std::uint64_t swapped_bytes) noexcept;

} // namespace kvcache
