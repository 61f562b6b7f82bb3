#include "http/utf8.hpp"

#include <bit>
#include <cstdint>

#include "http/swar.hpp"

namespace kvcache::http::utf8 {
namespace {

bool is_continuation(unsigned char byte) noexcept { return (byte & 0xC0) == 0x80; }

// Length of the well-formed sequence that starts at `at`, a byte above 0x7F; 0 if there is none.
// The rows are those of Unicode's table 3-7: only the second byte's range depends on the first.
std::size_t sequence_bytes(const unsigned char* at, std::size_t left) noexcept {
  const unsigned char first = at[0];
  if (first < 0xC2 || first > 0xF4) return 0;
  if (first < 0xE0) return left >= 2 && is_continuation(at[1]) ? 2 : 0;
  unsigned char lowest = 0x80;
  unsigned char highest = 0xBF;
  switch (first) {
  case 0xE0:
    lowest = 0xA0;
    break; // else overlong
  case 0xED:
    highest = 0x9F;
    break; // else a surrogate
  case 0xF0:
    lowest = 0x90;
    break; // else overlong
  case 0xF4:
    highest = 0x8F;
    break; // else above U+10FFFF
  default:
    break;
  }
  const std::size_t bytes = first < 0xF0 ? 3 : 4;
  if (left < bytes || at[1] < lowest || at[1] > highest) return 0;
  if (!is_continuation(at[2])) return 0;
  if (bytes == 4 && !is_continuation(at[3])) return 0;
  return bytes;
}

} // namespace

std::size_t valid_prefix(std::string_view text) noexcept {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t size = text.size();
  std::size_t i = 0;
  while (i < size) {
    if (size - i >= swar::word_bytes && (swar::load(text.data() + i) & swar::high_bits) == 0) {
      i += swar::word_bytes;
    } else if (bytes[i] < 0x80) {
      ++i;
    } else {
      const std::size_t step = sequence_bytes(bytes + i, size - i);
      if (step == 0) return i;
      i += step;
    }
  }
  return i;
}

std::size_t count_chars(std::string_view text) noexcept {
  // Every character has one byte that is not of the form 10xxxxxx.
  std::size_t continuations = 0;
  std::size_t i = 0;
  for (; text.size() - i >= swar::word_bytes; i += swar::word_bytes) {
    const std::uint64_t word = swar::load(text.data() + i);
    const std::uint64_t marks =
        (word >> 7) & ~(word >> 6) & swar::each(1); // bit 7 set, bit 6 clear
    continuations += static_cast<std::size_t>(std::popcount(marks));
  }
  for (; i < text.size(); ++i)
    if (is_continuation(static_cast<unsigned char>(text[i]))) ++continuations;
  return text.size() - continuations;
}

} // namespace kvcache::http::utf8
