// Cgroups: those of this process, their directories, and the content of their files. The functions
// over text are pure and accept any bytes. The one that reads directories has the root directory as
// a parameter, so that tests can provide trees of other machines.
//
// What must hold: use and limit are always read from the same group. Every group from the own one
// up to the topmost visible one is a level, since each can be the one whose limit kills.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvcache {

enum class cgroup_version : std::uint8_t { v1, v2 };
enum class cgroup_controller : std::uint8_t { memory, cpu, pids };

// The path of the process's own group in the controller's hierarchy, from the text of
// /proc/self/cgroup. For v2 that is the "0::" line, whatever the controller.
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
// mount point last. None if the own group is not below what the mount shows.
std::vector<std::string> group_directories(const cgroup_mount& mount, std::string_view own_group);

struct cgroup_directory {
  cgroup_version version = cgroup_version::v2;
  std::string path; // as seen by the process: `root` is not in it

  friend bool operator==(const cgroup_directory&, const cgroup_directory&) = default;
};

// All levels of both versions for the controller. On a hybrid system both may be returned; those
// without the controller's files yield no reading later. Missing directories are omitted. Of
// several mounts of one hierarchy, the one that shows most levels is used. If none shows the own
// group (a namespace or mount created elsewhere), the mount point is used: its files are the
// nearest.
std::vector<cgroup_directory> find_groups(std::string_view self_cgroup, std::string_view mountinfo,
                                          cgroup_controller controller, const std::string& root);

// Represents "no limit at this level", and a limit that has never been read.
inline constexpr std::uint64_t no_limit_bytes = UINT64_MAX;

// The text of memory.max, memory.high, memory.limit_in_bytes. `no_limit_bytes` for `max` and for
// more than any machine has, which is how v1 writes "unlimited". Nothing for any other text: that
// is a failed reading and must not be treated as "no limit".
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

// The part of a compressed pool that belongs to this process: its share of all swapped memory.
std::uint64_t own_zswap_bytes(std::uint64_t pool_bytes, std::uint64_t own_swapped_bytes,
                              std::uint64_t all_swapped_bytes) noexcept;

} // namespace kvcache
