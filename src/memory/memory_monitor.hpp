// What the machine, the container and the operator allow, read whenever asked.
//
// Every source is a level with its own usage and limit: each control group from the own one up to
// the root, the host, and the limit the operator set. All of them are handed out, since a level
// that is emptier in proportion can have less room left in bytes.
//
// What each level counts as use:
//   control group   its charge without inactive page cache, with what was swapped out of it
//   host            MemTotal − MemAvailable, with what was swapped out of this process (pages of
//   others
//                   that lie in swap hold no memory; ours would be cache pushed out unseen)
//   --memory-limit  what this process has resident and swapped out (VmRSS + VmSwap): the limit the
//                   operator sets is one for this process, whoever else lives on the machine
//   estimate        the bytes the cache itself holds, against --memory-limit or 2 GiB; only where
//                   nothing at all can be read
//
// Limits are read at every call. Which groups there are is looked up again every few calls and
// costs file lookups only where that changed. Descriptors are kept, so a process that has none left
// still reads. Not thread-safe: one thread, the evictor's, owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvcache/memory_reading.hpp"
#include "memory/cgroup.hpp"
#include "memory/reread_file.hpp"

namespace kvcache {

struct memory_monitor_options {
  std::string root;                     // put before every path; "" is the machine itself
  std::uint64_t memory_limit_bytes = 0; // the operator's limit; 0 means there is none
};

struct memory_report {
  std::vector<memory_reading> levels; // never empty, no limit is 0
  std::size_t fullest = 0;            // index of the level with the highest used ÷ limit
  bool estimated = false;             // nothing could be read: the one level is the estimate
  bool estimate_began = false;        // true once: in the first report that had to be an estimate

  const memory_reading& fullest_level() const noexcept { return levels[fullest]; }
};

class memory_monitor {
public:
  static constexpr std::uint64_t assumed_limit_bytes = std::uint64_t{2} << 30;

  explicit memory_monitor(memory_monitor_options options);

  // `own_bytes`: what the cache holds by its own account, for the estimate. The reference is valid
  // until the next call.
  const memory_report& read(std::uint64_t own_bytes);

  // What read() returned last; without levels before the first call.
  const memory_report& last() const noexcept { return report_; }

private:
  // One control group: its files, and how to read use and limit from them.
  class group_level {
  public:
    group_level(const cgroup_directory& directory, const std::string& root);
    // False where there is no limit or no usage to be read here.
    bool read(memory_reading& to, std::string& buffer);

  private:
    bool read_v1(memory_reading& to, std::string& buffer);
    bool read_v2(memory_reading& to, std::string& buffer);

    cgroup_version version_;
    std::string source_;
    reread_file current_;
    reread_file limit_;
    reread_file high_; // v2 only
    reread_file stat_;
    reread_file swap_; // v2 only
  };

  void look_up_groups();
  bool read_host(memory_reading& to);
  bool read_own_process(memory_reading& to, std::uint64_t own_bytes);
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
  std::string buffer_;
  std::string second_buffer_;
  unsigned reads_until_lookup_ = 0;
  bool estimated_before_ = false;
  memory_report report_;
};

} // namespace kvcache
