// SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), written from the paper.
// The store uses SipHash-1-3 with a key drawn per process, so that nobody outside can choose keys
// that collide; the rounds are template arguments because the paper's test vector is for
// SipHash-2-4.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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
    for (; left >= 8; data += 8, left -= 8) s.absorb(little_endian<std::uint64_t>(data));
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
    if (left == 0) return 0;
    if (bytes.size() >= 8) { // overlaps what was absorbed
      return little_endian<std::uint64_t>(data + left - 8) >> (8 * (8 - left));
    }
    const auto byte_at = [&](std::size_t i) {
      return std::uint64_t{static_cast<unsigned char>(data[i])} << (8 * i);
    };
    if (left < 4) return byte_at(0) | byte_at(left / 2) | byte_at(left - 1); // some twice
    const std::size_t second = left - 4;
    return little_endian<std::uint32_t>(data) |
           std::uint64_t{little_endian<std::uint32_t>(data + second)} << (8 * second);
  }
  template <class Word>
  static Word little_endian(const char* data) noexcept {
    Word word = 0;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&word, data, sizeof(word)); // one load
    } else {
      for (std::size_t i = 0; i < sizeof(word); ++i) {
        word |= static_cast<Word>(Word{static_cast<unsigned char>(data[i])} << (8 * i));
      }
    }
    return word;
  }

  std::uint64_t k0_;
  std::uint64_t k1_;
};

// The 32 bits of a key's hash that the index works with.
class keyed_hash {
public:
  constexpr keyed_hash(std::uint64_t k0, std::uint64_t k1) noexcept : hash_(k0, k1) {}
  std::uint32_t operator()(std::string_view key) const noexcept {
    return static_cast<std::uint32_t>(hash_(key));
  }

private:
  siphash<1, 3> hash_;
};

} // namespace kvcache
