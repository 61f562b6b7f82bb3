// Checks the framing of a chunked body as it arrives (RFC 9112 §7.1). Pure.
//
// Beast reads a chunk's size line only when all of it is there, and trailers only when their end is
// there. These checks refuse what can no longer become valid.
#pragma once

#include <string_view>

#include "http/fault.hpp"

namespace kvcache::http {

// `text` begins behind the data of a chunk (`after_chunk`) or at the beginning of the body, and has
// perhaps not arrived whole: the end of that chunk, a size line, and the trailers if the size is 0.
fault check_chunk_line(std::string_view text, bool after_chunk) noexcept;

// The extensions of a size line. Beast accepts any byte in a quoted one (RFC 9110 §5.6.4 does not).
bool are_chunk_extensions(std::string_view text) noexcept;

} // namespace kvcache::http
