// The file of --auth-token-file: one token per line, with its permission.
//
//   # for the dashboards
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
  int error = 0; // errno, if a system call failed
};

using token_list = std::vector<http::access_token>;

// A file without any token is a fault, since it would lock everyone out.
std::variant<token_list, token_file_fault> parse_token_file(std::string_view text);

struct token_file {
  token_list tokens;
  // A warning if every user of the machine may read or write the file (o+r, o+w); else empty.
  // Access by its group is the operator's decision.
  std::string warning;
};

// Accepts only a regular file of at most 64 KiB. Anything else (a FIFO, a terminal) is a fault and
// is not waited for. It may still block if the file system does not respond.
std::variant<token_file, token_file_fault> read_token_file(const std::string& path);

} // namespace kvcache::config
