// The rules for the values of single header fields that Beast's parser does not enforce. Pure.
#pragma once

#include <string_view>

#include "http/fault.hpp"

namespace kvcache::http {

// Whether a method or a field name may have this byte (RFC 9110 §5.6.2).
bool is_token_byte(char c) noexcept;

// The value of Transfer-Encoding: none if it is "chunked", once, last and without parameters
// (RFC 9112 §6.1, §7).
fault check_transfer_encoding(std::string_view value) noexcept;

// Whether the value of Expect names 100-continue, perhaps repeatedly, and nothing else.
bool expects_100_continue(std::string_view value) noexcept;

// Whether the value of Content-Encoding names a coding other than identity (RFC 9110 §8.4,
// §12.5.3).
bool names_a_coding(std::string_view value) noexcept;

// A field line without its CR LF, of a head whose end has not arrived: whether it is well-formed.
// Rules that concern several fields are not checked.
fault check_field_line(std::string_view line) noexcept;

// Whether a carriage return is followed by anything but a line feed. One at the end is accepted,
// since the line feed may be still to come.
bool has_bare_cr(std::string_view text) noexcept;

} // namespace kvcache::http
