#include "memory/text.hpp"

#include <charconv>
#include <system_error>

namespace kvcache::text {

namespace {
constexpr std::string_view blanks = " \t\r\n";
constexpr std::uint64_t bytes_per_kib = 1024;
} // namespace

std::optional<std::string_view> take_until(std::string_view& rest, char separator) noexcept {
  if (rest.empty()) return std::nullopt;
  const std::size_t end = rest.find(separator);
  const std::string_view piece = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return piece;
}

std::string_view trim(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text) noexcept {
  text = trim(text);
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped_at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped_at != end) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> find_stat(std::string_view text, std::string_view name) noexcept {
  while (const auto line = take_until(text, '\n')) {
    if (line->size() > name.size() && line->starts_with(name) && (*line)[name.size()] == ' ') {
      return parse_unsigned(line->substr(name.size()));
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> find_kib(std::string_view text, std::string_view name) noexcept {
  while (const auto line = take_until(text, '\n')) {
    if (line->size() <= name.size() || !line->starts_with(name) || (*line)[name.size()] != ':') {
      continue;
    }
    std::string_view value = trim(line->substr(name.size() + 1));
    if (!value.ends_with("kB")) return std::nullopt;
    value.remove_suffix(2);
    const auto kib = parse_unsigned(value);
    if (!kib || *kib > UINT64_MAX / bytes_per_kib) return std::nullopt;
    return *kib * bytes_per_kib;
  }
  return std::nullopt;
}

} // namespace kvcache::text
