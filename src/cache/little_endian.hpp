// Little-endian words at any alignment: one load or store on little-endian machines.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kvcache {

template <class Word>
Word load_little_endian(const char* from) noexcept {
  Word word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, from, sizeof(word));
  } else {
    for (std::size_t i = 0; i < sizeof(word); ++i) {
      word |= static_cast<Word>(Word{static_cast<unsigned char>(from[i])} << (8 * i));
    }
  }
  return word;
}

template <class Word>
void store_little_endian(char* to, Word word) noexcept {
  for (std::size_t i = 0; i < sizeof(word); ++i) to[i] = static_cast<char>(word >> (8 * i));
}

// The word of fewer than 8 bytes.
inline std::uint64_t load_little_endian_upto_7(const char* from, std::size_t size) noexcept {
  if (size == 0) return 0;
  const auto byte_at = [from](std::size_t i) {
    return std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  };
  if (size < 4) return byte_at(0) | byte_at(size / 2) | byte_at(size - 1); // some twice
  const std::size_t second = size - 4; // overlaps the first four
  return load_little_endian<std::uint32_t>(from) |
         std::uint64_t{load_little_endian<std::uint32_t>(from + second)} << (8 * second);
}

} // namespace kvcache
