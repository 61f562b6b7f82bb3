// A real memory control group for one test: made with a limit, joined by the processes under test,
// removed at the end. Knows v1 and v2.
//
// Where no group can be made (no root, no memory controller) create() says why; a test then skips
// with that reason.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvcache::test {

class memory_cgroup {
public:
  // `why_not` is filled where the result is empty. Below `parent` if there is one (v2 only), which
  // must outlive it and have no process of its own.
  static std::optional<memory_cgroup> create(std::uint64_t limit_bytes, std::string& why_not,
                                             const memory_cgroup* parent = nullptr);
  // Whether the memory controller is v2's on this machine.
  static bool is_v2();

  memory_cgroup(memory_cgroup&& other) noexcept;
  memory_cgroup& operator=(memory_cgroup&&) = delete;
  ~memory_cgroup(); // REQUIRES: every process in it has ended

  void set_limit_bytes(std::uint64_t limit_bytes);
  std::uint64_t limit_bytes() const { return limit_bytes_; }
  std::string path() const { return directory_.string(); }
  // v2 only.
  void set_high_bytes(std::uint64_t bytes);
  void allow_swap(); // there is none otherwise
  // Has the kernel take back so many bytes, from all groups below as well; false where it cannot.
  bool reclaim(std::uint64_t bytes);
  std::uint64_t stat(const std::string& name) const;   // of memory.stat
  std::uint64_t events(const std::string& name) const; // of memory.events
  std::uint64_t swapped_bytes() const;
  void add(pid_t process);
  std::uint64_t usage_bytes() const; // without what the kernel reclaims at the limit
  std::uint64_t oom_kills() const;
  // Words to put in front of a command so that it is in the group before its program begins.
  std::vector<std::string> launcher() const;

private:
  memory_cgroup(std::filesystem::path directory, bool v2);

  std::filesystem::path directory_;
  bool v2_;
  bool swaps_ = false;
  std::uint64_t limit_bytes_ = 0;
};

} // namespace kvcache::test
