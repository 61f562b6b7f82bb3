// Base64 as RFC 4648 §4 defines it: with padding, without line breaks. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace kvcache::http::base64 {

constexpr std::size_t encoded_size(std::size_t bytes) noexcept { return (bytes + 2) / 3 * 4; }

// Writes the text of `bytes` and returns its end. REQUIRES: room for encoded_size().
char* encode(char* to, std::string_view bytes) noexcept;

// The bytes that `text` stands for, by its length and padding; nothing if it cannot be base64.
std::optional<std::size_t> decoded_size(std::string_view text) noexcept;

// Writes the bytes and returns their end; null if `text` is not base64. Refused are also bits
// behind the last byte that are not zero, as §3.5 allows: only one text stands for given bytes.
// REQUIRES: decoded_size(text), and room for as much.
char* decode(char* to, std::string_view text) noexcept;

} // namespace kvcache::http::base64
