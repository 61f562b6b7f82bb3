#include "cache/entry.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvcache {
namespace {

// Room for one entry, aligned as the arena aligns it, and not a byte more.
class block {
public:
  explicit block(std::size_t bytes) : words_((bytes + 7) / 8, ~std::uint64_t{0}) {}
  entry view() { return entry{reinterpret_cast<std::byte*>(words_.data())}; }

private:
  std::vector<std::uint64_t> words_;
};

TEST(entry, of_20_and_100_bytes_takes_128) {
  EXPECT_EQ((entry_shape{20, 100, false}.total_bytes()), 128U);
  EXPECT_EQ((entry_shape{20, 100, true}.total_bytes()), 132U);
}

TEST(entry, returns_what_was_written) {
  for (const std::size_t key_bytes : {std::size_t{0}, std::size_t{1}, std::size_t{1024},
                                      entry_shape::max_short_key, entry_shape::max_short_key + 1}) {
    for (const std::size_t value_bytes :
         {std::size_t{0}, std::size_t{1}, std::size_t{1024}, entry_shape::max_short_value,
          entry_shape::max_short_value + 1}) {
      for (const tick expires_at : {never, tick{7}}) {
        const std::string key(key_bytes, 'k');
        const std::string value(value_bytes, 'v');
        const entry_shape shape = entry_shape::of(key_bytes, value_bytes, expires_at);
        block room{shape.total_bytes()};
        entry e = room.view();
        e.write(key, {value}, expires_at);
        const auto meta = entry_meta::for_new_entry(5, shape.has_expiry, shape.extended());
        e.publish(meta);
        ASSERT_EQ(e.acquire_meta(), meta);
        EXPECT_EQ(e.key(meta), key);
        EXPECT_EQ(e.value(meta), value);
        EXPECT_EQ(e.expires_at(meta), expires_at);
        block other_room{shape.total_bytes()};
        entry copy = other_room.view();
        copy.write_copy_of(e);
        EXPECT_EQ(copy.key(meta), key);
        EXPECT_EQ(copy.value(meta), value);
        EXPECT_EQ(copy.expires_at(meta), expires_at);
      }
    }
  }
}

TEST(entry, assigning_a_value_keeps_the_key) {
  block room{200};
  entry e = room.view();
  e.write("key", {"a first value"}, tick{9});
  const auto meta = entry_meta::for_new_entry(0, true, false);
  e.publish(meta);
  const entry_shape shape{3, 6, true};
  ASSERT_TRUE(e.same_layout(meta, shape));
  e.store_lengths(shape);
  e.assign_value(meta, 3, {"second"}, tick{10});
  EXPECT_EQ(e.key(meta), "key");
  EXPECT_EQ(e.value(meta), "second");
  EXPECT_EQ(e.expires_at(meta), 10U);
  EXPECT_FALSE(e.same_layout(meta, {3, 6, false}));
  EXPECT_FALSE(e.same_layout(meta, {3, entry_shape::max_short_value + 1, true}));
}

TEST(entry_meta, a_new_entry_is_live_and_not_referenced) {
  const auto meta = entry_meta::for_new_entry(77, true, false);
  EXPECT_TRUE(meta.live());
  EXPECT_TRUE(meta.has_expiry());
  EXPECT_FALSE(meta.extended());
  EXPECT_EQ(meta.references(), 0U);
  EXPECT_EQ(meta.stamp(), 77U);
  EXPECT_FALSE(entry_meta{}.live());
}

TEST(entry_meta, accesses_raise_references_and_uses_once_an_epoch_up_to_the_maximum) {
  auto meta = entry_meta::for_new_entry(1, false, false);
  EXPECT_EQ(meta.touched(1), meta); // too close to the insertion to tell anything
  meta = meta.touched(2);
  EXPECT_EQ(meta.references(), entry_meta::references_per_access);
  EXPECT_EQ(meta.uses(), 1U);
  EXPECT_EQ(meta.touched(2), meta);
  for (epoch now = 3; now < 10; ++now) meta = meta.touched(now);
  EXPECT_EQ(meta.references(), entry_meta::max_references);
  EXPECT_EQ(meta.stamp(), 9U);
  EXPECT_TRUE(meta.live());
  EXPECT_EQ(meta.uses(), entry_meta::max_uses);
  for (int i = 0; i < 5; ++i) meta = meta.aged();
  EXPECT_EQ(meta.references(), 0U);
  EXPECT_EQ(meta.uses(), entry_meta::max_uses);
  EXPECT_EQ(meta.stamp(), 9U);
}

TEST(entry_meta, ages_are_correct_across_a_wrap_around_of_the_epoch) {
  constexpr epoch last = entry_meta::stamp_mask;
  const auto meta = entry_meta::for_new_entry(last, false, false);
  EXPECT_EQ(meta.age(last), 0U);
  EXPECT_EQ(meta.age(last + 1), 1U); // kept as 0
  EXPECT_EQ(meta.age(last + 10), 10U);
  EXPECT_EQ(meta.touched(last + 3).age(last + 10), 7U);
  EXPECT_EQ(entry_meta::for_new_entry(~epoch{0}, false, false).age(~epoch{0} + 2), 2U);
}

TEST(entry, a_lost_exchange_of_the_meta_keeps_the_access) {
  block room{64};
  entry e = room.view();
  e.write("k", {"v"}, never);
  const auto fresh = entry_meta::for_new_entry(4, false, false);
  e.publish(fresh);
  const entry_meta touched = fresh.touched(5);
  e.store_meta(touched);
  EXPECT_FALSE(e.exchange_meta(fresh, fresh.aged())); // an access came between
  EXPECT_EQ(e.meta(), touched);
  EXPECT_TRUE(e.exchange_meta(touched, touched.aged()));
  EXPECT_EQ(e.meta().references(), touched.references() - 1);
}

} // namespace
} // namespace kvcache
