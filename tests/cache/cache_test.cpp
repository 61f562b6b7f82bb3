// The public class forwards every call; the store behind it has tests of its own.
#include "kvcache/cache.hpp"

#include <gtest/gtest.h>

#include <string>

#include "cache/cache_internals.hpp"
#include "cache/room_maker.hpp"
#include "cache/store.hpp"

namespace kvcache {
namespace {

class refusing_maker final : public room_maker {
public:
  bool make_room(std::size_t, std::size_t) noexcept override {
    ++asked;
    return false;
  }
  void shed(std::size_t) noexcept override { ++asked_to_shed; }
  int asked = 0;
  int asked_to_shed = 0;
};

TEST(cache, offers_every_operation) {
  cache c{cache_options{}};
  std::string value;
  const auto read = [&](std::string_view v) { value.assign(v); };
  EXPECT_EQ(c.put("k", "1"), put_outcome::inserted);
  EXPECT_EQ(c.put_if_absent("k", "2"), put_outcome::precondition_failed);
  EXPECT_EQ(c.compare_and_swap("k", "1", "3"), put_outcome::replaced);
  EXPECT_TRUE(c.get("k", read));
  EXPECT_EQ(value, "3");
  EXPECT_TRUE(c.peek("k", read));
  EXPECT_EQ(c.size(), 1U);
  EXPECT_EQ(c.stats().entries, 1U);
  c.put("gone soon", "x", tick{3});
  c.advance_clock(3);
  EXPECT_EQ(c.now(), 3U);
  EXPECT_FALSE(c.get("gone soon", read));
  EXPECT_TRUE(c.erase("k"));
  EXPECT_FALSE(c.erase("k"));
  c.put("another", "x");
  EXPECT_EQ(c.clear(), 1U);
  EXPECT_FALSE(c.maintain(1000));
}

TEST(cache, calls_the_room_maker_at_the_limit) {
  cache c{cache_options{}};
  c.set_hold_limit_bytes(1); // whatever it holds already is more
  EXPECT_EQ(c.hold_limit_bytes(), 1U);
  EXPECT_EQ(c.put("k", "v"), put_outcome::no_room);
  refusing_maker maker;
  cache_internals::store_of(c).set_room_maker(&maker);
  EXPECT_EQ(c.put("k", "v"), put_outcome::no_room);
  EXPECT_EQ(maker.asked_to_shed, 1); // it holds more than the lowered limit
  EXPECT_EQ(maker.asked, 1);         // for the block itself
  cache_internals::store_of(c).set_room_maker(nullptr);
  c.set_hold_limit_bytes(0);
  EXPECT_EQ(c.put("k", "v"), put_outcome::inserted);
}

TEST(cache, starts_small) {
  cache c{cache_options{}};
  EXPECT_LT(c.stats().held_bytes, std::size_t{64} << 10);
}

} // namespace
} // namespace kvcache
