#include "snapshot/crc32c.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

namespace kvcache::snapshot {
namespace {

// RFC 3720, appendix B.4, and the check value of every catalogue of CRCs.
TEST(crc32c, has_the_values_of_the_standard) {
  std::string ascending(32, '\0');
  std::iota(ascending.begin(), ascending.end(), '\0');
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
}

TEST(crc32c, changes_with_every_single_bit) {
  const std::string text = "some text of a length that is no multiple of eight";
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(crc32c(other), crc32c(text)) << bit;
  }
}

} // namespace
} // namespace kvcache::snapshot
