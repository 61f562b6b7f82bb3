// A file of tokens for --auth-token-file, and requests that carry one.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace kvcache::test {

class token_file {
public:
  explicit token_file(const std::string& content) {
    const int descriptor = ::mkstemp(path_.data());
    if (descriptor < 0) throw std::runtime_error{"mkstemp"};
    ::close(descriptor);
    write(content);
  }
  ~token_file() { remove(); }
  token_file(const token_file&) = delete;
  token_file& operator=(const token_file&) = delete;

  // Replaces the content.
  void write(const std::string& content) { std::ofstream{path_} << content; }
  void remove() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

private:
  std::string path_ = testing::TempDir() + "/tokensXXXXXX";
};

inline std::string with_token(const std::string& token) {
  return "Authorization: Bearer " + token + "\r\n";
}

} // namespace kvcache::test
