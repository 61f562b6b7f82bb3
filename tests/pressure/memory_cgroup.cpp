#include "pressure/memory_cgroup.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "memory/cgroup.hpp"

namespace kvcache::test {
namespace {

namespace fs = std::filesystem;

const fs::path v1_mount = "/sys/fs/cgroup/memory";
const fs::path v2_mount = "/sys/fs/cgroup";

bool write_file(const fs::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  out.close();
  return out.good();
}

std::uint64_t field_of(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  std::uint64_t value = 0;
  while (in >> word >> value) {
    if (word == name) return value;
  }
  return 0;
}

// The kernel lets go of a group a moment after its last process has been waited for.
void remove_group(const fs::path& directory) {
  if (directory.empty()) return;
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (rmdir(directory.c_str()) == 0 || errno != EBUSY) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::uint64_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  in >> value;
  return value;
}

} // namespace

memory_cgroup::memory_cgroup(fs::path directory, bool v2)
    : directory_(std::move(directory)), v2_(v2) {}

memory_cgroup::memory_cgroup(memory_cgroup&& other) noexcept
    : directory_(std::move(other.directory_)),
      processor_directory_(std::move(other.processor_directory_)),
      v2_(other.v2_),
      swaps_(other.swaps_),
      limit_bytes_(other.limit_bytes_) {
  other.directory_.clear();
  other.processor_directory_.clear();
}

bool memory_cgroup::is_v2() {
  std::error_code error;
  return !fs::exists(v1_mount / "memory.limit_in_bytes", error) &&
         fs::exists(v2_mount / "cgroup.controllers", error);
}

std::optional<memory_cgroup> memory_cgroup::create(std::uint64_t limit_bytes, std::string& why_not,
                                                   const memory_cgroup* parent) {
  std::error_code error;
  const bool v1 = fs::exists(v1_mount / "memory.limit_in_bytes", error);
  const bool v2 = is_v2();
  if (!v1 && !v2) {
    why_not = "no memory controller is mounted under /sys/fs/cgroup";
    return std::nullopt;
  }
  const fs::path above = parent != nullptr ? parent->directory_ : v1 ? v1_mount : v2_mount;
  // In v2 a group's children get the controller only if it says so.
  if (v2) write_file(above / "cgroup.subtree_control", "+memory");
  static int serial = 0;
  const fs::path directory =
      above / ("kvcache-test-" + std::to_string(getpid()) + "-" + std::to_string(serial++));
  if (!fs::create_directory(directory, error)) {
    why_not = "cannot make " + directory.string() + ": " + error.message();
    return std::nullopt;
  }
  memory_cgroup group(directory, v2);
  if (!fs::exists(directory / (v2 ? "memory.max" : "memory.limit_in_bytes"))) {
    why_not = "the memory controller cannot be enabled below " + above.string() +
              ": in a container with a private cgroup namespace, first move its processes into a "
              "group of their own";
    return std::nullopt;
  }
  group.set_limit_bytes(limit_bytes);
  return group;
}

memory_cgroup::~memory_cgroup() {
  remove_group(directory_);
  remove_group(processor_directory_);
}

bool memory_cgroup::set_processor_share(double share, std::string& why_not) {
  constexpr int period_us = 100'000;
  const std::string quota_us = std::to_string(static_cast<int>(share * period_us));
  if (v2_) {
    write_file(directory_.parent_path() / "cgroup.subtree_control", "+cpu");
    const bool done =
        write_file(directory_ / "cpu.max", quota_us + " " + std::to_string(period_us));
    if (!done) why_not = "the cpu controller is not available";
    return done;
  }
  const fs::path directory = fs::path("/sys/fs/cgroup/cpu") / directory_.filename();
  std::error_code error;
  fs::create_directory(directory, error);
  if (error) {
    why_not = "cannot make " + directory.string() + ": " + error.message();
    return false;
  }
  processor_directory_ = directory;
  const bool done = write_file(directory / "cpu.cfs_period_us", std::to_string(period_us)) &&
                    write_file(directory / "cpu.cfs_quota_us", quota_us);
  if (!done) why_not = "cannot set the quota of " + directory.string();
  return done;
}

void memory_cgroup::set_limit_bytes(std::uint64_t limit_bytes) {
  const std::string text = std::to_string(limit_bytes);
  const bool done = write_file(directory_ / (v2_ ? "memory.max" : "memory.limit_in_bytes"), text);
  if (!done) throw std::runtime_error("cannot set the limit of " + directory_.string());
  limit_bytes_ = limit_bytes;
  // Swapping instead of being killed would prove nothing.
  if (!swaps_) write_file(directory_ / (v2_ ? "memory.swap.max" : "memory.swappiness"), "0");
}

void memory_cgroup::set_high_bytes(std::uint64_t bytes) {
  if (!write_file(directory_ / "memory.high", std::to_string(bytes)))
    throw std::runtime_error("cannot set memory.high of " + directory_.string());
}

void memory_cgroup::allow_swap() {
  swaps_ = true;
  write_file(directory_ / "memory.swap.max", "max"); // not there where the machine has no swap
}

bool memory_cgroup::reclaim(std::uint64_t bytes) {
  // Less than asked for is a failure to the kernel: a piece at a time.
  constexpr std::uint64_t piece = std::uint64_t{1} << 20;
  bool any = false;
  for (std::uint64_t done = 0; done < bytes; done += piece) {
    if (!write_file(directory_ / "memory.reclaim", std::to_string(piece))) break;
    any = true;
  }
  return any;
}

std::uint64_t memory_cgroup::stat(const std::string& name) const {
  return field_of(directory_ / "memory.stat", name);
}

std::uint64_t memory_cgroup::events(const std::string& name) const {
  return field_of(directory_ / "memory.events", name);
}

std::uint64_t memory_cgroup::swapped_bytes() const {
  return number_in(directory_ / "memory.swap.current");
}

void memory_cgroup::add(pid_t process) {
  if (!write_file(directory_ / "cgroup.procs", std::to_string(process)))
    throw std::runtime_error("cannot move a process into " + directory_.string());
}

std::vector<std::string> memory_cgroup::launcher() const {
  const std::string procs = (directory_ / "cgroup.procs").string();
  if (processor_directory_.empty()) {
    return {"/bin/sh", "-c", "echo $$ > \"$0\" && exec \"$@\"", procs};
  }
  return {"/bin/sh", "-c", "echo $$ > \"$0\" && echo $$ > \"$1\" && shift && exec \"$@\"", procs,
          (processor_directory_ / "cgroup.procs").string()};
}

std::uint64_t memory_cgroup::usage_bytes() const {
  const std::uint64_t usage =
      number_in(directory_ / (v2_ ? "memory.current" : "memory.usage_in_bytes"));
  std::ifstream in(directory_ / "memory.stat");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::uint64_t reclaimable = reclaimable_bytes(
      parse_group_stat(text, v2_ ? cgroup_version::v2 : cgroup_version::v1), limit_bytes_);
  return usage > reclaimable ? usage - reclaimable : 0;
}

std::uint64_t memory_cgroup::oom_kills() const {
  return v2_ ? field_of(directory_ / "memory.events", "oom_kill")
             : field_of(directory_ / "memory.oom_control", "oom_kill");
}

} // namespace kvcache::test
