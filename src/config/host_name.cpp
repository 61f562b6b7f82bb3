#include "config/host_name.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace kvcache::config {

namespace {

bool is_label(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_ipv6_address(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  in6_addr parsed{};
  return inet_pton(AF_INET6, terminated.data(), &parsed) == 1;
}

} // namespace

bool is_host_name(std::string_view text) noexcept {
  if (text.starts_with('['))
    return text.ends_with(']') && is_ipv6_address(text.substr(1, text.size() - 2));
  if (text.ends_with('.')) text.remove_suffix(1); // the root, as in "localhost."
  for (;;) {
    const auto dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

} // namespace kvcache::config
