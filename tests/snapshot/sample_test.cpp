// A file that another program wrote, by the description of the format (file_format.py).
#include <gtest/gtest.h>

#include <string>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::see;

TEST(sample_of_version_1, is_loaded_by_this_and_every_later_version) {
  store to{{}};
  const test::loaded got = test::load_bytes(test::content_of(SAMPLES_DIR "/version-1"), to);
  EXPECT_EQ(got.fault, header_fault::none);
  EXPECT_EQ(got.state, load_state::loaded);
  EXPECT_EQ(got.skipped_blocks, 0U);
  EXPECT_EQ(got.entries, 5U);
  EXPECT_EQ(to.size(), 5U);
  EXPECT_EQ(to.check_invariants(), "");

  EXPECT_EQ(see(to, "plain")->bytes, "by POST /put");
  EXPECT_EQ(see(to, "plain")->type, http::text_type);
  EXPECT_EQ(see(to, "caf\xC3\xA9")->bytes, "");
  EXPECT_EQ(see(to, "caf\xC3\xA9")->type, http::unknown_type);
  EXPECT_TRUE(see(to, "caf\xC3\xA9")->is_utf8);
  const std::string binary_key{"\0\xFF", 2};
  EXPECT_EQ(see(to, binary_key)->bytes.size(), 256U);
  EXPECT_EQ(see(to, binary_key)->type, "image/png");
  EXPECT_FALSE(see(to, binary_key)->is_utf8);
  EXPECT_EQ(see(to, "expiring")->expires_at,
            test::noon.now + (1'893'456'000'000 - test::noon.unix_ms) / 100);
  EXPECT_FALSE(see(to, "expired"));
  std::string digits;
  for (int i = 0; i < 12; ++i) digits += "0123456789";
  EXPECT_EQ(see(to, "long")->bytes, digits);
  EXPECT_EQ(see(to, "long")->type, "x-own/type");
}

} // namespace
} // namespace kvcache::snapshot
