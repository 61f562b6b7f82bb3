// Byte sizes with units: 512M, 2G, 65536. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvcache::config {

// Decimal digits and, if any, one unit: B, K, M, G or T, where K, KB and KiB all mean 1024 bytes
// (as Docker and the JVM read them), upper or lower case. Nothing for any other text,
// including fractions, signs and sizes over 2^64 − 1.
std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept;

// The shortest text that parse_byte_size reads as exactly this size: "512M", "1000".
std::string format_byte_size(std::uint64_t bytes);

} // namespace kvcache::config
