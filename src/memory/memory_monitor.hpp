// Reads the memory limits of machine, container and operator, and the use at each.
//
// Every source is a level with its own use and limit: each cgroup from the own one up to the root,
// the host, and the limit of this process: the operator's, or what one cache can address if that is
// less and less than the host has. All levels are reported, since a level with a lower
// proportion in use can have fewer bytes left.
//
// Use is what the kernel cannot reclaim:
//   cgroup          its charge without clean page cache and reclaimable slab
//   host            MemTotal − MemAvailable
//   --memory-limit  what this process has resident (VmRSS): that limit is for this process alone,
//                   like the one of addresses
//   sysinfo         sysinfo(2), if nothing else can be read; reported as an estimate
// plus the swapped memory of this process (VmSwap), which is cache content. Swapped memory of other
// processes uses no memory. Pages of this process that zswap has compressed count once.
//
// A failed reading is never treated as "no limit". A limit stays in force as long as the process is
// in that group, even if the group's files disappear. Use is then that of other processes at the
// last reading plus what the cache holds now; before any reading it is the use of the next outer
// level.
//
// Limits are read at every call, group membership every few calls. All files are opened as soon as
// a group is known and kept open, so that a process without free descriptors can still read them.
// If the files of a new group cannot be opened for lack of descriptors, the old groups stay in
// force until they can.
//
// Thread-safety: none; the evictor's thread owns it. Errors: read() may throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/memory_reading.hpp"
#include "memory/cgroup.hpp"
#include "memory/reread_file.hpp"

namespace kvcache {

struct memory_monitor_options {
  std::string root;                     // prepended to every path; "" is the machine itself
  std::uint64_t memory_limit_bytes = 0; // the operator's limit; 0 means there is none
  std::uint64_t addressable_bytes = 0;  // the highest limit that the cache can use; 0: any
};

struct memory_report {
  std::vector<memory_reading> levels; // never empty, no limit is 0
  std::size_t fullest = 0;            // index of the level with the highest used ÷ limit
  bool estimated = false;             // neither a group nor the host could be read
  bool estimate_began = false;        // true once: in the first report that had to be an estimate

  const memory_reading& fullest_level() const noexcept { return levels[fullest]; }
};

class memory_monitor {
public:
  explicit memory_monitor(memory_monitor_options options);

  // `own_bytes`: what the cache holds by its own accounting, used when readings fail. The reference
  // is valid until the next call.
  const memory_report& read(std::uint64_t own_bytes);

  // The last result of read(); without levels before the first call.
  const memory_report& last() const noexcept { return report_; }

private:
  // The current use of this process.
  struct own_use {
    std::uint64_t bytes = 0;         // held by the cache, by its own accounting
    std::uint64_t swapped_bytes = 0; // VmSwap
  };

  // The use of a level, for when it cannot be read.
  class known_use {
  public:
    // Records `used`, or replaces it if it is missing; `use_unknown` if it has never been read.
    std::uint64_t settle(std::optional<std::uint64_t> used, std::uint64_t own_bytes) noexcept;

  private:
    std::optional<std::uint64_t> others_bytes_; // at the last reading
  };

  // One cgroup: its files, and how to read use and limit from them.
  class group_level {
  public:
    group_level(const cgroup_directory& directory, const std::string& root);
    // Opens every existing file. False for lack of descriptors or kernel memory.
    bool open() noexcept;
    // False if this level has no limit.
    bool read(memory_reading& to, const own_use& own, std::string& buffer);

  private:
    void read_limits(std::string& buffer);
    std::optional<std::uint64_t> read_used(const own_use& own, std::string& buffer);

    cgroup_version version_;
    std::string source_;
    reread_file current_;
    reread_file limit_;
    reread_file high_; // v2 only
    reread_file stat_;
    reread_file swap_; // v2 only

    // As last read.
    std::uint64_t limit_bytes_ = no_limit_bytes;
    std::uint64_t high_bytes_ = no_limit_bytes;      // v2 only
    std::uint64_t inherited_bytes_ = no_limit_bytes; // v1 only: of groups that are not visible
    group_stat group_stat_;
    known_use use_;
  };

  void look_up_groups();
  bool read_host(memory_reading& to, const own_use& own);
  struct process_limit {
    std::uint64_t bytes = 0; // 0: there is none
    std::string_view source = {};
  };
  process_limit limit_of_process(std::uint64_t machine_bytes) const noexcept;
  void read_process_limit(memory_reading& to, const process_limit& limit,
                          const std::optional<std::uint64_t>& resident, const own_use& own);
  void fill_unknown_use(std::size_t count, std::uint64_t outermost_bytes) noexcept;
  void choose_fullest() noexcept;

  memory_monitor_options options_;
  reread_file self_cgroup_;
  reread_file mountinfo_;
  reread_file meminfo_;
  reread_file self_status_;
  std::vector<group_level> groups_; // one for each of known_directories_
  std::vector<cgroup_directory> known_directories_;
  std::string known_self_cgroup_;
  std::string known_mountinfo_;
  std::uint64_t host_total_bytes_ = 0; // 0: never read
  known_use host_use_;
  known_use process_use_;
  std::uint64_t own_swapped_bytes_ = 0; // as last read
  std::string buffer_;
  std::string second_buffer_;
  unsigned reads_until_lookup_ = 0;
  bool estimated_before_ = false;
  memory_report report_;
};

} // namespace kvcache
