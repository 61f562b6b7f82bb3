#include "http/authority.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "http/ascii.hpp"

namespace kvcache::http {
namespace {

// Bytes of a registered name or an IPv4 address except '%', which begins an escape.
constexpr byte_set host_bytes("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-._~!$&'()*+,;=");

// The offset of the first byte, at `i` or behind, that is no host byte. One branch per eight bytes,
// since every head that is parsed passes here.
std::size_t host_bytes_end(std::string_view text, std::size_t i) noexcept {
  for (constexpr std::size_t step = 8; text.size() - i >= step; i += step) {
    bool all = true;
    for (std::size_t k = 0; k < step; ++k) all &= host_bytes.contains(text[i + k]);
    if (!all) break;
  }
  while (i < text.size() && host_bytes.contains(text[i])) ++i;
  return i;
}

// Nothing, or a colon and any number of digits, none included (RFC 3986 §3.2.3).
bool is_port_part(std::string_view text) noexcept {
  if (text.empty()) return true;
  constexpr unsigned highest = 65'535;
  unsigned number = 0;
  for (const char c : text.substr(1)) {
    if (!is_decimal(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > highest) return false;
  }
  return text.front() == ':';
}

// An IPv6 address. No other kind is defined (RFC 3986: IPvFuture), and URIs have no zones.
bool is_address_in_brackets(std::string_view text) noexcept {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return false;
  const std::string_view address = text.substr(1, end - 1);
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (address.size() >= terminated.size() || address.find('\0') != std::string_view::npos)
    return false;
  std::copy(address.begin(), address.end(), terminated.begin());
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, terminated.data(), &parsed) == 1 &&
         is_port_part(text.substr(end + 1));
}

} // namespace

bool is_authority(std::string_view text) noexcept {
  if (text.starts_with('[')) return is_address_in_brackets(text);
  std::size_t end = host_bytes_end(text, 0);
  for (; end < text.size() && text[end] == '%'; end = host_bytes_end(text, end + 3))
    if (text.size() - end < 3 || !is_hex_digit(text[end + 1]) || !is_hex_digit(text[end + 2]))
      return false;
  return end != 0 && is_port_part(text.substr(end));
}

std::string_view without_port(std::string_view authority) noexcept {
  const auto colon = authority.rfind(':');
  const auto bracket = authority.rfind(']'); // an IPv6 address has colons of its own
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket))
    return authority;
  return authority.substr(0, colon);
}

} // namespace kvcache::http
