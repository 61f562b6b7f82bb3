// SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), written from the paper.
// The rounds are template arguments because the paper's test vector is for SipHash-2-4; the store
// uses SipHash-1-3 (keyed_hash.hpp).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cache/little_endian.hpp"

namespace kvcache {

template <unsigned CompressionRounds, unsigned FinalizationRounds>
class siphash {
public:
  constexpr siphash(std::uint64_t k0, std::uint64_t k1) noexcept : k0_(k0), k1_(k1) {}

  std::uint64_t operator()(std::string_view bytes) const noexcept {
    state s{k0_ ^ 0x736f6d6570736575U, k1_ ^ 0x646f72616e646f6dU, k0_ ^ 0x6c7967656e657261U,
            k1_ ^ 0x7465646279746573U};
    const char* data = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; data += 8, left -= 8) s.absorb(load_little_endian<std::uint64_t>(data));
    const auto length_byte = static_cast<std::uint64_t>(bytes.size() & 0xff) << 56;
    s.absorb(last_word(bytes, data, left) | length_byte);
    return s.finish();
  }

private:
  struct state {
    std::uint64_t v0, v1, v2, v3;

    void round() noexcept {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) noexcept {
      v3 ^= word;
      for (unsigned i = 0; i < CompressionRounds; ++i) round();
      v0 ^= word;
    }
    std::uint64_t finish() noexcept {
      v2 ^= 0xff;
      for (unsigned i = 0; i < FinalizationRounds; ++i) round();
      return v0 ^ v1 ^ v2 ^ v3;
    }
  };

  // The last `left` bytes, fewer than 8, as a word.
  static std::uint64_t last_word(std::string_view bytes, const char* data,
                                 std::size_t left) noexcept {
    if (left != 0 && bytes.size() >= 8) { // overlaps what was absorbed
      return load_little_endian<std::uint64_t>(data + left - 8) >> (8 * (8 - left));
    }
    return load_little_endian_upto_7(data, left);
  }

  std::uint64_t k0_;
  std::uint64_t k1_;
};

} // namespace kvcache
