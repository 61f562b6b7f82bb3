#include "cache/siphash.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kvcache {
namespace {

// The key of the paper's appendix: bytes 00 … 0f.
constexpr std::uint64_t k0 = 0x0706050403020100;
constexpr std::uint64_t k1 = 0x0f0e0d0c0b0a0908;

std::string counting_bytes(std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

TEST(siphash, yields_the_papers_result_for_2_4_rounds) {
  const siphash<2, 4> hash{k0, k1};
  EXPECT_EQ(hash(counting_bytes(15)), 0xa129ca6149be45e5U);
}

TEST(siphash, every_byte_and_the_length_matter) {
  const siphash<1, 3> hash{k0, k1};
  std::set<std::uint64_t> seen;
  std::size_t inputs = 0;
  for (std::size_t length = 0; length <= 40; ++length) {
    std::string bytes(length, '\0'); // differ by length only
    seen.insert(hash(bytes));
    ++inputs;
    for (std::size_t i = 0; i < length; ++i) {
      bytes[i] = '\x80';
      seen.insert(hash(bytes));
      ++inputs;
      bytes[i] = '\0';
    }
  }
  EXPECT_EQ(seen.size(), inputs);
}

TEST(siphash, reads_only_the_bytes_it_is_given) {
  const siphash<1, 3> hash{k0, k1};
  const std::string longer = counting_bytes(64);
  for (std::size_t from = 0; from < 16; ++from) {
    for (std::size_t length = 0; length < 32; ++length) {
      const std::string exact = longer.substr(from, length); // an own allocation, for ASan
      EXPECT_EQ(hash(std::string_view{longer}.substr(from, length)), hash(exact));
    }
  }
}

TEST(siphash, another_key_yields_other_hashes) {
  EXPECT_NE((siphash<1, 3>{k0, k1}("key")), (siphash<1, 3>{k0, k1 + 1}("key")));
  EXPECT_NE((siphash<1, 3>{k0, k1}("key")), (siphash<1, 3>{k0 + 1, k1}("key")));
}

} // namespace
} // namespace kvcache
