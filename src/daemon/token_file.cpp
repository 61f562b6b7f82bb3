#include "daemon/token_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include "memory/text.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::config {

namespace {

constexpr std::size_t file_bytes_most = std::size_t{64} << 10;
// RFC 6750 §2.1: b64token, what may follow "Bearer " in a header.
bool is_bearer_token(std::string_view token) {
  constexpr std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/";
  const auto padding = std::min(token.find_first_not_of(allowed), token.size());
  return padding > 0 && token.find_first_not_of('=', padding) == std::string_view::npos;
}

std::optional<http::access_token> parse_line(std::string_view line) {
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  const std::string_view secret = text::trim(line.substr(word.size()));
  if (!is_bearer_token(secret)) return std::nullopt;
  if (word == "read-only") return http::access_token{std::string{secret}, http::permission::read};
  if (word == "read-write") return http::access_token{std::string{secret}, http::permission::write};
  return std::nullopt;
}

token_file_fault last_fault() { return {std::generic_category().message(errno), errno}; }

std::string open_to_others(mode_t mode) {
  if ((mode & (S_IROTH | S_IWOTH)) == 0) return {};
  std::array<char, 8> octal{};
  std::snprintf(octal.data(), octal.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return std::string{"every user of this machine may "} +
         ((mode & S_IWOTH) != 0 ? "change" : "read") + " it (mode " + octal.data() +
         "); restrict it with chmod o=";
}

} // namespace

std::variant<token_list, token_file_fault> parse_token_file(std::string_view content) {
  token_list tokens;
  for (std::size_t number = 1; auto whole_line = text::take_until(content, '\n'); ++number) {
    const std::string_view line = text::trim(*whole_line);
    if (line.empty() || line.front() == '#') continue;
    auto token = parse_line(line);
    if (!token) {
      return token_file_fault{"line " + std::to_string(number) +
                              " is not 'read-only TOKEN' or 'read-write TOKEN'"};
    }
    tokens.push_back(*std::move(token));
  }
  if (tokens.empty()) return token_file_fault{"it contains no token"};
  return tokens;
}

std::variant<token_file, token_file_fault> read_token_file(const std::string& path) {
  // Not blocking: opening a FIFO would wait for its writer.
  const http::unique_fd file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  struct stat facts {};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) return last_fault();
  if (!S_ISREG(facts.st_mode)) return token_file_fault{"it is not a regular file"};
  std::string text(file_bytes_most + 1, '\0');
  std::size_t size = 0;
  for (ssize_t got = 1; got != 0 && size < text.size();) {
    got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno != EINTR) return last_fault();
    size += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  if (size > file_bytes_most) return token_file_fault{"it is larger than 64 KiB"};
  text.resize(size);
  auto parsed = parse_token_file(text);
  if (auto* fault = std::get_if<token_file_fault>(&parsed)) return std::move(*fault);
  return token_file{std::get<token_list>(std::move(parsed)), open_to_others(facts.st_mode)};
}

} // namespace kvcache::config
