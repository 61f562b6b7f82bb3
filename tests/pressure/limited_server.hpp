// The real binary in a memory group of its own, and what both say of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pressure/memory_cgroup.hpp"
#include "support/server_process.hpp"

namespace kvcache::test {

class limited_server {
public:
  explicit limited_server(memory_cgroup& group, std::vector<std::string> arguments = {});
  // `launcher`: puts it into the group, and what else is wanted.
  limited_server(memory_cgroup& group, std::vector<std::string> arguments,
                 std::vector<std::string> launcher);

  std::uint16_t port() const { return process_.port(); }
  pid_t pid() const { return process_.pid(); }
  raw_client connect() const { return process_.connect(); }
  std::string output() const { return process_.output(); }

  // One look at /stats and the group.
  struct state {
    nlohmann::json stats;
    double use_percent = 0; // of the limit, as the kernel counts

    std::uint64_t entries() const { return stats["entries"]; }
    std::string tier() const { return stats["eviction"]["tier"]; }
    std::uint64_t tier_changes() const { return stats["eviction"]["tier_changes"]; }
    std::uint64_t evictions() const; // all causes
  };
  state look() const;

  // Looks until it is as wanted, or a generous deadline has passed; the last look.
  state look_until(const std::function<bool(const state&)>& wanted) const;

private:
  static constexpr std::chrono::seconds patience{15};
  static constexpr std::chrono::milliseconds between_looks{50};

  memory_cgroup& group_;
  server_process process_;
};

} // namespace kvcache::test
