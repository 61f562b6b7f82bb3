// What many peers cost the program under test, and waiting until it has returned to what it was.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// The test needs as many descriptors as it opens connections.
inline void allow_many_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

inline std::vector<raw_client> connect_many(const server_process& server, std::size_t count) {
  allow_many_files();
  std::vector<raw_client> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(server.connect());
  return clients;
}

// Longer than any deadline here, also on a busy machine. It only bounds a failing test.
inline constexpr std::chrono::seconds patience{120};

template <class Predicate>
bool eventually(Predicate holds) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// The state of a thread follows its name, which is in parentheses.
inline bool all_threads_sleep(pid_t pid) {
  const std::filesystem::directory_iterator threads{"/proc/" + std::to_string(pid) + "/task"};
  return std::all_of(begin(threads), end(threads), [](const auto& thread) {
    std::ifstream file{thread.path() / "stat"};
    const std::string stat{std::istreambuf_iterator<char>{file}, {}};
    const std::size_t name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.substr(name_end + 2, 1) == "S";
  });
}

// The memory and descriptors of the process before an attack. Afterwards it must return to them.
class footprint {
public:
  explicit footprint(const server_process& server) : pid_(server.pid()) {
    server.connect().ask(get_request("/get?key=a")); // allocates what every first request needs
    files_ = open_files(pid_);
    bytes_ = resident_bytes(pid_);
  }

  // A sanitizer keeps freed memory for itself.
  bool grew_by_less_than(std::size_t bytes) const {
    return sanitized || resident_bytes(pid_) < bytes_ + bytes;
  }

  bool comes_back() const {
    return eventually([&] { return open_files(pid_) <= files_; }) &&
           eventually([&] { return grew_by_less_than(4'000'000); });
  }

private:
  pid_t pid_;
  std::size_t files_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace kvcache::test
