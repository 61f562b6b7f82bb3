#include "config/service_link.hpp"

#include <regex>

namespace kvcache::config {

bool is_service_link(std::string_view name, std::string_view value) {
  static const std::regex service_variable{"[A-Z0-9_]*_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)"};
  static const std::regex port_variable{
      "[A-Z0-9_]*_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"};
  static const std::regex port_name{"[A-Z0-9_]*_PORT"};
  static const std::regex address{"(tcp|udp|sctp)://.*"};
  const auto matches = [](std::string_view text, const std::regex& whole) {
    constexpr std::size_t longest = 256; // of a name and an address; std::regex recurses
    return text.size() <= longest && std::regex_match(text.begin(), text.end(), whole);
  };
  return matches(name, service_variable) || matches(name, port_variable) ||
         (matches(name, port_name) && matches(value, address));
}

} // namespace kvcache::config
