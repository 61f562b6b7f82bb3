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

// Stands for "no limit here", and for a limit that was never read.
inline constexpr std::uint64_t no_limit_bytes = UINT64_MAX;

// The text of memory.max, memory.high, memory.limit_in_bytes. `no_limit_bytes` for `max` and for
// more than any machine has, which is how v1 writes "unlimited". Nothing for any other text: that
// is a failed reading and must not be taken for "no limit".
std::optional<std::uint64_t> parse_memory_limit(std::string_view text) noexcept;

// What memory.stat reports of a group and all groups below it. Figures it lacks are 0.
struct group_stat {
  std::uint64_t file_bytes = 0;             // page cache on the LRU lists: no tmpfs, nothing locked
  std::uint64_t unwritten_bytes = 0;        // of the page cache: dirty or under writeback
  std::uint64_t slab_reclaimable_bytes = 0; // v2 only
  std::uint64_t zswap_bytes = 0;            // v2 only: compressed pages, charged to the group
};

group_stat parse_group_stat(std::string_view text, cgroup_version version) noexcept;

// The bytes of a group that the kernel frees when the group reaches its limit: the formula of
// MemAvailable. Clean page cache and reclaimable slab count but for a low watermark, or half of
// each where that is less, since a working set of them stays resident.
std::uint64_t reclaimable_bytes(const group_stat& stat, std::uint64_t limit_bytes) noexcept;

// What of a compressed pool holds pages of this process: its share of all that is swapped out.
std::uint64_t own_zswap_bytes(std::uint64_t pool_bytes, std::uint64_t own_swapped_bytes,
                              std::uint64_t all_swapped_bytes) noexcept;

} // namespace kvcache
