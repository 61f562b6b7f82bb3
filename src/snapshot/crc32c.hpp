// CRC-32C (Castagnoli; RFC 3720, appendix B.4), with the processor's instruction where it has one.
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvcache::snapshot {

std::uint32_t crc32c(std::string_view bytes) noexcept;

} // namespace kvcache::snapshot
