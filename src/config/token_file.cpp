#include "config/token_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

namespace kvcache::config {

namespace {

constexpr std::size_t file_bytes_most = std::size_t{64} << 10;
constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// RFC 6750 §2.1: b64token, what may follow "Bearer " in a header.
bool is_bearer_token(std::string_view text) {
  const auto padding = text.find_last_not_of('=');
  if (padding == std::string_view::npos) return false;
  return std::all_of(
      text.begin(), text.begin() + static_cast<std::ptrdiff_t>(padding) + 1, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"-._~+/"}.find(c) != std::string_view::npos;
      });
}

std::optional<http::access_token> parse_line(std::string_view line) {
  const auto word_end = line.find_first_of(blanks);
  if (word_end == std::string_view::npos) return std::nullopt;
  const std::string_view word = line.substr(0, word_end);
  const std::string_view secret = trimmed(line.substr(word_end));
  if (!is_bearer_token(secret)) return std::nullopt;
  if (word == "read-only") return http::access_token{std::string{secret}, http::permission::read};
  if (word == "read-write") return http::access_token{std::string{secret}, http::permission::write};
  return std::nullopt;
}

} // namespace

std::variant<token_list, token_file_fault> parse_token_file(std::string_view text) {
  token_list tokens;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    auto token = parse_line(line);
    if (!token) {
      return token_file_fault{"line " + std::to_string(number) +
                              " is not 'read-only TOKEN' or 'read-write TOKEN'"};
    }
    tokens.push_back(*std::move(token));
  }
  if (tokens.empty()) return token_file_fault{"there is no token in it"};
  return tokens;
}

std::variant<token_list, token_file_fault> read_token_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file.is_open()) return token_file_fault{std::generic_category().message(errno)};
  std::string text(file_bytes_most + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return token_file_fault{"it cannot be read"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > file_bytes_most) return token_file_fault{"it is larger than 64 KiB"};
  return parse_token_file(text);
}

} // namespace kvcache::config
