#include "api/entity_tagger.hpp"

#include "api/value_format.hpp"

#define XXH_INLINE_ALL // a part of this file: nothing to install where the program runs
#include <xxhash.h>

#include <bit>
#include <cstring>
#include <new>
#include <random>

namespace kvcache::http {

inline std::uint64_t entity_tagger::hash(std::string_view bytes) const noexcept {
  return XXH3_64bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size());
}

entity_tagger::entity_tagger() {
  std::random_device random;
  for (unsigned char& each : secret_) each = static_cast<unsigned char>(random());
  text_type_hash_ = hash(text_type);
  unknown_type_hash_ = hash(unknown_type);
}

std::uint64_t entity_tagger::combine(std::string_view type,
                                     std::uint64_t bytes_hash) const noexcept {
  constexpr std::uint64_t odd = 0x9E37'79B9'7F4A'7C15U;
  const std::uint64_t type_hash = type.data() == text_type.data()      ? text_type_hash_
                                  : type.data() == unknown_type.data() ? unknown_type_hash_
                                                                       : hash(type);
  return bytes_hash + odd * type_hash;
}

std::uint64_t entity_tagger::tag_of(std::string_view type, std::string_view bytes) const noexcept {
  return combine(type, hash(bytes));
}

struct tag_stream::state {
  XXH3_state_t hash;
};

tag_stream::tag_stream(const entity_tagger& by) : by_(by), state_(std::make_unique<state>()) {
  XXH3_64bits_reset_withSecret(&state_->hash, by_.secret_.data(), by_.secret_.size());
}

tag_stream::~tag_stream() = default;

void tag_stream::add(std::string_view bytes) noexcept {
  XXH3_64bits_update(&state_->hash, bytes.data(), bytes.size());
}

std::uint64_t tag_stream::tag(std::string_view type) const noexcept {
  return by_.combine(type, XXH3_64bits_digest(&state_->hash));
}

// Spreads the sixteen digits over the bytes of two words, the first digit lowest in memory, and
// makes digits of them eight at a time.
tag_text::tag_text(std::uint64_t tag) noexcept {
  text_.front() = text_.back() = '"';
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t digits = half == 0 ? tag >> 32U : tag & 0xFFFF'FFFFU;
    digits = (digits | digits << 16U) & 0x0000'FFFF'0000'FFFFU;
    digits = (digits | digits << 8U) & 0x00FF'00FF'00FF'00FFU;
    digits = (digits | digits << 4U) & 0x0F0F'0F0F'0F0F'0F0FU;
    // 0x30 for all, and 0x27 more from ten on.
    const std::uint64_t letters = (digits + 0x0606'0606'0606'0606U) >> 4U & 0x0101'0101'0101'0101U;
    digits += 0x3030'3030'3030'3030U + letters * ('a' - '9' - 1);
    if constexpr (std::endian::native == std::endian::little) digits = __builtin_bswap64(digits);
    std::memcpy(text_.data() + 1 + 8 * half, &digits, sizeof digits);
  }
}

} // namespace kvcache::http
