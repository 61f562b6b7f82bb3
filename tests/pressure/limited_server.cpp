#include "pressure/limited_server.hpp"

#include <stdexcept>
#include <thread>
#include <utility>

namespace kvcache::test {

limited_server::limited_server(memory_cgroup& group, std::vector<std::string> arguments)
    : limited_server(group, std::move(arguments), group.launcher()) {}

limited_server::limited_server(memory_cgroup& group, std::vector<std::string> arguments,
                               std::vector<std::string> launcher)
    : group_(group), process_(KVCACHE_BINARY, std::move(arguments), std::move(launcher)) {}

std::uint64_t limited_server::state::evictions() const {
  std::uint64_t sum = 0;
  for (const auto& [cause, count] : stats["eviction"]["evictions"].items())
    sum += count.get<std::uint64_t>();
  return sum;
}

limited_server::state limited_server::look() const {
  const http_reply reply = connect().ask(get_request("/stats"));
  if (reply.status != 200) throw std::runtime_error("/stats: " + reply.head);
  const auto use = static_cast<double>(group_.usage_bytes());
  return {nlohmann::json::parse(reply.body), 100 * use / static_cast<double>(group_.limit_bytes())};
}

limited_server::state
limited_server::look_until(const std::function<bool(const state&)>& wanted) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  state seen = look();
  while (!wanted(seen) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(between_looks);
    seen = look();
  }
  return seen;
}

} // namespace kvcache::test
