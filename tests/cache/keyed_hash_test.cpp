#include "cache/keyed_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace kvcache {
namespace {

constexpr std::uint64_t k0 = 0x0706050403020100;
constexpr std::uint64_t k1 = 0x0f0e0d0c0b0a0908;

// Every length around the places where the way of reading changes.
std::vector<std::size_t> telling_lengths() {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length <= 50; ++length) lengths.push_back(length);
  for (const std::size_t length : {255U, 256U, 1008U, 1023U, 1024U, 1025U, 1040U, 5000U}) {
    lengths.push_back(length);
  }
  return lengths;
}

std::string counting_bytes(std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i * 37);
  return bytes;
}

// 32 bits collide by chance: a pair is only suspicious if it does so under several keys.
TEST(keyed_hash, every_byte_and_the_length_matter) {
  std::map<std::string, std::vector<std::uint32_t>> hashes;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const keyed_hash hash{k0 + seed, k1};
    for (const std::size_t length : telling_lengths()) {
      std::string bytes(length, '\0'); // differ by length only
      hashes[bytes].push_back(hash(bytes));
      const std::size_t step = std::max<std::size_t>(1, length / 300);
      for (std::size_t i = 0; i < length; i += step) {
        bytes[i] = '\x80';
        hashes[bytes].push_back(hash(bytes));
        bytes[i] = '\0';
      }
    }
  }
  std::set<std::vector<std::uint32_t>> seen;
  for (const auto& [bytes, under_each_key] : hashes) seen.insert(under_each_key);
  EXPECT_EQ(seen.size(), hashes.size());
}

TEST(keyed_hash, reads_only_the_bytes_it_is_given) {
  const keyed_hash hash{k0, k1};
  const std::string longer = counting_bytes(5100);
  for (const std::size_t length : telling_lengths()) {
    for (std::size_t from = 0; from < 16; ++from) {
      const std::string exact = longer.substr(from, length); // an own allocation, for ASan
      EXPECT_EQ(hash(std::string_view{longer}.substr(from, length)), hash(exact));
    }
  }
}

TEST(keyed_hash, another_key_yields_other_hashes_at_every_length) {
  const keyed_hash hash{k0, k1};
  const keyed_hash other{k0, k1 + 1};
  std::size_t equal = 0;
  for (const std::size_t length : telling_lengths()) {
    const std::string bytes = counting_bytes(length);
    equal += hash(bytes) == other(bytes) ? 1 : 0;
  }
  EXPECT_EQ(equal, 0U);
}

TEST(keyed_hash, keys_that_collide_under_one_key_do_not_under_another) {
  const keyed_hash hash{k0, k1};
  std::map<std::uint32_t, std::string> seen;
  std::vector<std::pair<std::string, std::string>> colliding; // about 2^36 / 2^33 = 8 pairs
  for (std::size_t i = 0; i < 400'000; ++i) {
    const std::string key = "key-" + std::to_string(i);
    const auto [at, is_new] = seen.emplace(hash(key), key);
    if (!is_new) colliding.emplace_back(at->second, key);
  }
  ASSERT_FALSE(colliding.empty());
  const keyed_hash other{k0 + 1, k1};
  for (const auto& [a, b] : colliding) EXPECT_NE(other(a), other(b)) << a << " and " << b;
}

// Keys as people number them: the last digits, or the first ones, or the bytes of a counter differ.
struct key_pattern {
  const char* name;
  std::string (*key)(std::uint64_t number);
};

template <class Integer>
std::string bytes_of(Integer number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

constexpr std::array patterns{
    key_pattern{"a number", [](std::uint64_t i) { return std::to_string(i); }},
    key_pattern{"12 + a number",
                [](std::uint64_t i) { return "counted-key:" + std::to_string(i); }},
    key_pattern{"60 + a number",
                [](std::uint64_t i) { return std::string(60, 'x') + std::to_string(i); }},
    key_pattern{"steps of 1,000",
                [](std::uint64_t i) { return "page:" + std::to_string(i * 1000); }},
    key_pattern{"two numbers",
                [](std::uint64_t i) {
                  return "user:" + std::to_string(i / 100) + ":item:" + std::to_string(i % 100);
                }},
    key_pattern{"a number in front",
                [](std::uint64_t i) { return std::to_string(100'000 + i) + "-of-the-many-keys"; }},
    key_pattern{"a number in the middle",
                [](std::uint64_t i) { return "img/" + std::to_string(i) + ".jpeg"; }},
    key_pattern{"4 bytes", [](std::uint64_t i) { return bytes_of(static_cast<std::uint32_t>(i)); }},
    key_pattern{"8 bytes", [](std::uint64_t i) { return bytes_of(i); }},
    key_pattern{"8 bytes of 16, first",
                [](std::uint64_t i) { return bytes_of(i) + "\1\2\3\4\5\6\7\7"; }},
    key_pattern{"8 bytes of 16, last",
                [](std::uint64_t i) { return "\1\2\3\4\5\6\7\7" + bytes_of(i); }},
    key_pattern{"8 bytes, upside down",
                [](std::uint64_t i) { return bytes_of(__builtin_bswap64(i)); }},
};

// The index takes its bucket from the low bits and its segment from the high ones. Chi-square over
// 2,048 cells is 2,047 on average, with a deviation of 64.
TEST(keyed_hash, spreads_keys_that_differ_little_over_low_and_high_bits) {
  constexpr std::size_t cells = 2048;
  constexpr std::size_t keys = 100'000;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const keyed_hash hash{k0 + seed, k1};
    for (const key_pattern& pattern : patterns) {
      constexpr std::array<unsigned, 3> shifts{0, 8, 21};
      std::array<std::vector<double>, shifts.size()> counts;
      counts.fill(std::vector<double>(cells, 0));
      for (std::size_t i = 0; i < keys; ++i) {
        const std::uint32_t h = hash(pattern.key(i));
        for (std::size_t s = 0; s < shifts.size(); ++s) ++counts[s][h >> shifts[s] & (cells - 1)];
      }
      for (std::size_t s = 0; s < shifts.size(); ++s) {
        constexpr double expected = double{keys} / cells;
        double chi_square = 0;
        for (const double c : counts[s]) chi_square += (c - expected) * (c - expected) / expected;
        EXPECT_LT(chi_square, 2047 + 6 * 64)
            << pattern.name << ", bits from " << shifts[s] << ", seed " << seed;
      }
    }
  }
}

} // namespace
} // namespace kvcache
