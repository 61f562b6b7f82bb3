// The hash of a key, under a key drawn per process, so that nobody outside can choose keys that
// collide: 32 bits that the index works with, and 32 more for ghost_table, which are less well
// mixed.
//
// Two universal hashes in sequence: two different keys chosen without knowledge of the key words
// collide with a probability of about 2^-31 at most. This bound is for pairs, and for keys chosen
// without seeing hashes; no response contains one.
//   - NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC: fast and secure message
//     authentication", 1999) with words of 64 bits: the sum over pairs of words of
//     (m[2i] + k[2i]) · (m[2i+1] + k[2i+1]), modulo 2^128, and the length times one more word.
//   - Multiply-shift (Dietzfelbinger, Hagerup, Katajainen, Penttonen: "A reliable randomized
//     algorithm for the closest-pair problem", 1997) from those 128 bits to 32: the upper ones of
//     the product with an odd number.
// A key of 20 bytes takes three independent multiplications for the first and three for the second.
// Keys longer than NH has words for, which no default allows, use SipHash-1-3. All words are
// derived by SipHash from the 128 random bits.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cache/little_endian.hpp"
#include "cache/siphash.hpp"

namespace kvcache {

class keyed_hash {
public:
  keyed_hash(std::uint64_t k0, std::uint64_t k1) noexcept : long_keys_(k0, k1) {
    std::uint64_t number = 0;
    const auto draw = [&] {
      std::array<char, sizeof(number)> bytes{};
      store_little_endian(bytes.data(), number++);
      return long_keys_({bytes.data(), bytes.size()});
    };
    length_word_ = draw();
    factor_ = {.low = draw() | 1, .high = draw()};
    for (auto& word : words_) word = draw();
  }

  std::uint32_t operator()(std::string_view key) const noexcept {
    return static_cast<std::uint32_t>(wide(key) >> 32);
  }

  // All 64 bits.
  std::uint64_t wide(std::string_view key) const noexcept {
    if (key.size() > longest) [[unlikely]] {
      return std::rotl(long_keys_(key), 32);
    }
    return fold(key.size() >= pair_bytes ? sum_of_pairs(key) : pair_of_short(key), key.size());
  }

private:
  __extension__ using uint128 = unsigned __int128;
  static constexpr std::size_t pair_bytes = 16;
  static constexpr std::size_t longest = 1024; // bytes: 256 characters of four

  uint128 product(std::size_t pair, std::uint64_t first, std::uint64_t second) const noexcept {
    return uint128{first + words_[2 * pair]} * (second + words_[2 * pair + 1]);
  }
  // The last pair overlaps the one before if the length is no multiple of a pair. For keys of one
  // length this remains a bijection.
  uint128 sum_of_pairs(std::string_view key) const noexcept {
    const char* at = key.data();
    const char* last = at + key.size() - pair_bytes;
    uint128 sum = 0;
    std::size_t pair = 0;
    for (; at < last; at += pair_bytes, ++pair) {
      sum += product(pair, load_little_endian<std::uint64_t>(at),
                     load_little_endian<std::uint64_t>(at + 8));
    }
    return sum + product(pair, load_little_endian<std::uint64_t>(last),
                         load_little_endian<std::uint64_t>(last + 8));
  }
  uint128 pair_of_short(std::string_view key) const noexcept {
    const char* data = key.data();
    const std::size_t size = key.size();
    if (size >= 8) {
      return product(0, load_little_endian<std::uint64_t>(data),
                     load_little_endian<std::uint64_t>(data + size - 8));
    }
    return product(0, load_little_endian_upto_7(data, size), 0);
  }

  std::uint64_t fold(uint128 sum, std::size_t length) const noexcept {
    const std::uint64_t of_length = length * length_word_;
    sum += of_length;
    const auto high = static_cast<std::uint64_t>(sum >> 64);
    // A bijection, so it causes no collision. The sums of keys that differ only in their last
    // digits form arithmetic progressions, which the product would keep; a cuckoo table needs them
    // scattered.
    const std::uint64_t low = static_cast<std::uint64_t>(sum) ^ std::rotl(high, 32);
    const auto upper = static_cast<std::uint64_t>(uint128{factor_.low} * low >> 64);
    return upper + factor_.low * high + factor_.high * low;
  }

  std::uint64_t length_word_ = 0;
  struct {
    std::uint64_t low = 1; // odd
    std::uint64_t high = 0;
  } factor_;
  std::array<std::uint64_t, longest / 8> words_{};
  siphash<1, 3> long_keys_;
};

} // namespace kvcache
