// The Content-Type field (RFC 9110 §8.3.1). Pure.
#pragma once

#include <string_view>

namespace kvcache::http {

// Whether `text` is a type and a subtype, perhaps with parameters.
bool is_media_type(std::string_view text) noexcept;

// Whether its type and subtype are `essence` (lower case), in any case and with any parameters.
bool has_essence(std::string_view media_type, std::string_view essence) noexcept;

} // namespace kvcache::http
