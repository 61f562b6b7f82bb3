// Entity tags (RFC 9110 §8.8.3) and the field that lists them. Pure.
#pragma once

#include <string_view>

namespace kvcache::http {

// Whether `if_none_match`, the value of such a field (RFC 9110 §13.1.2), names `tag` by weak
// comparison, or is `*`. A malformed list names nothing: its sender gets the whole response.
bool names_entity_tag(std::string_view if_none_match, std::string_view tag) noexcept;

} // namespace kvcache::http
