// The file behind --auth-token-file: one token a line, with what it allows.
//
//   # whoever builds the dashboards
//   read-only  vF4mNn0pYhS2
//   read-write 3q2-Zp8xKw1u
//
// Empty lines and lines that begin with # are skipped. A fault names the line, never its content.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/token_authorizer.hpp"

namespace kvcache::config {

struct token_file_fault {
  std::string what;
};

using token_list = std::vector<http::access_token>;

// A file without any token is a fault: it would lock everybody out, or so the operator would learn.
std::variant<token_list, token_file_fault> parse_token_file(std::string_view text);

struct token_file {
  token_list tokens;
  // What to tell the operator where the file's mode lets every user of the machine read or write it
  // (o+r, o+w); that its group may is left to him. Empty where it does not.
  std::string warning;
};

// Only a regular file of at most 64 KiB: anything else is a fault and is never waited for (a FIFO,
// a terminal). It may block all the same where the file system itself does not answer.
std::variant<token_file, token_file_fault> read_token_file(const std::string& path);

} // namespace kvcache::config
