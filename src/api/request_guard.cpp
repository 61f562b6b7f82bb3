#include "api/request_guard.hpp"

#include <algorithm>

#include "http/ascii.hpp"
#include "http/authority.hpp"

namespace kvcache::http {

namespace {

std::string_view without_suffix(std::string_view text, std::string_view suffix) noexcept {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return text;
}

bool names_host(std::string_view origin, std::string_view scheme, std::string_view default_port,
                std::string_view host) noexcept {
  if (!equal_ignoring_case(origin.substr(0, scheme.size()), scheme)) return false;
  return equal_ignoring_case(without_suffix(origin.substr(scheme.size()), default_port),
                             without_suffix(host, default_port));
}

} // namespace

bool is_cross_origin(const request& asked) noexcept {
  const std::string_view site = asked[known_field::sec_fetch_site];
  if (site.data() != nullptr) return site != "same-origin" && site != "none";
  const std::string_view origin = asked[known_field::origin];
  if (origin.data() == nullptr) return false;
  if (asked.host.empty()) return true; // HTTP/1.0 without Host: no origin can name it
  return !names_host(origin, "http://", ":80", asked.host) &&
         !names_host(origin, "https://", ":443", asked.host);
}

bool is_allowed_host(std::string_view host, const std::vector<std::string>& allowed) noexcept {
  if (allowed.empty()) return true;
  const std::string_view name = without_port(host);
  return std::any_of(allowed.begin(), allowed.end(), [name](const std::string& candidate) {
    return equal_ignoring_case(name, candidate);
  });
}

} // namespace kvcache::http
