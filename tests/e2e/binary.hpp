// The program under test, and the resources of its process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/server_process.hpp"

namespace kvcache::test {

inline const std::string binary = KVCACHE_BINARY;

struct running_server : server_process {
  explicit running_server(std::vector<std::string> arguments = {})
      : server_process(binary, std::move(arguments)) {}
};

inline std::size_t open_files(pid_t pid) {
  const std::filesystem::directory_iterator files{"/proc/" + std::to_string(pid) + "/fd"};
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

inline std::size_t resident_bytes(pid_t pid) {
  std::ifstream statm{"/proc/" + std::to_string(pid) + "/statm"};
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * 4096;
}

// Whether the program logs the text within the patience.
inline bool logs_within_patience(const server_process& server, const std::string& text) {
  const auto end = std::chrono::steady_clock::now() + raw_client::patience;
  while (server.output().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return true;
}

inline std::string error_body(const std::string& message) {
  return R"({"status":"ERROR","message":")" + message + R"("})";
}

} // namespace kvcache::test
