// Percent-encoding (RFC 3986 §2.1). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcache::http {

// What '+' means: itself in a path, a space in the query of an HTML form.
enum class plus_sign : std::uint8_t { literal, space };

// Appends the decoded text to `out`; false where an escape is not two hexadecimal digits.
// Throws only std::bad_alloc.
bool append_decoded(std::string_view text, plus_sign plus, std::string& out);

} // namespace kvcache::http
