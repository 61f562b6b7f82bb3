// A real memory control group for one test: made with a limit, joined by the processes under test,
// removed at the end. Knows v1 and v2.
//
// Where no group can be made (no root, no memory controller) create() says why; a test then skips
// with that reason, and scripts/test fails if that happens where a group could have been made.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace kvcache::test {

class memory_cgroup {
public:
  // `why_not` is filled where the result is empty.
  static std::optional<memory_cgroup> create(std::uint64_t limit_bytes, std::string& why_not);

  memory_cgroup(memory_cgroup&& other) noexcept;
  memory_cgroup& operator=(memory_cgroup&&) = delete;
  ~memory_cgroup(); // REQUIRES: every process in it has ended

  void set_limit_bytes(std::uint64_t limit_bytes);
  void add(pid_t process);
  std::uint64_t usage_bytes() const; // without the page cache that could be dropped
  std::uint64_t oom_kills() const;
  // For a shell that is to exec inside: the file to write its pid into.
  std::string procs_file() const { return (directory_ / "cgroup.procs").string(); }

private:
  memory_cgroup(std::filesystem::path directory, bool v2);

  std::filesystem::path directory_;
  bool v2_;
};

} // namespace kvcache::test
