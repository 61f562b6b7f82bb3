// What a snapshot holds, and what comes back from it.
#include "snapshot/saver.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::content_of;
using test::folder;
using test::load_bytes;
using test::put_typed;
using test::request_of;
using test::save_to;
using test::see;

std::string text_of(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "line " + std::to_string(text.size()) + "\n";
  text.resize(bytes);
  return text;
}

entry_meta meta_of(store& in, std::string_view key) {
  entry_meta meta;
  for (std::uint32_t slab = 0; slab < in.walk_end(); ++slab) {
    std::uint32_t slot = 0;
    bool more = true;
    while (more) {
      std::vector<entry_ref> refs;
      more = in.walk_slab(slab, slot, [&](walked_entry& e) { refs.push_back(e.ref()); });
      for (const entry_ref& ref : refs)
        in.visit(ref, [&](const saved_entry& e) {
          if (e.key == key) meta = e.meta;
        });
    }
  }
  return meta;
}

class save_and_load : public testing::Test {
protected:
  test::loaded back(moment now = test::noon) {
    result = save_to(in.file("s"), from);
    EXPECT_EQ(result.error, 0);
    bytes = content_of(in.file("s"));
    EXPECT_EQ(result.bytes, bytes.size());
    return load_bytes(bytes, to, now);
  }

  const folder in;
  store from{{}};
  store to{{}};
  save_result result;
  std::string bytes;
};

TEST_F(save_and_load, an_empty_store_gives_an_empty_snapshot) {
  const test::loaded got = back();
  EXPECT_EQ(got.state, load_state::loaded);
  EXPECT_EQ(got.entries, 0U);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(to.size(), 0U);
}

TEST_F(save_and_load, values_of_every_length_come_back_with_their_types) {
  std::size_t count = 0;
  for (const std::size_t length : {0UL, 1UL, 100UL, 4096UL, 4097UL, 30'000UL, 65'000UL, 65'536UL,
                                   262'000UL, 262'116UL, 262'144UL, 524'288UL, 3'000'000UL}) {
    for (const std::string_view type :
         {"", "text/plain; charset=utf-8", "image/png", "x-own/type"}) {
      const std::string key = std::to_string(length) + std::string{type};
      ASSERT_EQ(put_typed(from, key, text_of(length), type), put_outcome::inserted);
      ++count;
    }
  }
  from.put("plain", "by POST /put", never);
  const test::loaded got = back();
  EXPECT_EQ(got.state, load_state::loaded);
  EXPECT_EQ(got.skipped_blocks, 0U);
  EXPECT_EQ(result.entries, count + 1);
  EXPECT_EQ(got.entries, count + 1);
  EXPECT_EQ(to.size(), from.size());
  EXPECT_EQ(to.check_invariants(), "");
  for (const std::size_t length : {0UL, 100UL, 4097UL, 65'536UL, 262'144UL, 3'000'000UL})
    for (const std::string_view type :
         {"", "text/plain; charset=utf-8", "image/png", "x-own/type"}) {
      const std::string key = std::to_string(length) + std::string{type};
      EXPECT_EQ(see(to, key)->bytes.size(), length);
      EXPECT_TRUE(see(to, key) == see(from, key)) << key;
    }
  EXPECT_TRUE(see(to, "plain") == see(from, "plain"));
}

TEST_F(save_and_load, keys_of_any_bytes_and_of_any_length_come_back) {
  const std::string with_nul{"a\0b\xFF", 4};
  const std::string long_key(1'000'000, 'k');
  from.put(with_nul, "1", never);
  from.put(long_key, "2", never);
  from.put(long_key + "and", text_of(400'000), never);
  back();
  EXPECT_EQ(see(to, with_nul)->bytes, "1");
  EXPECT_EQ(see(to, long_key)->bytes, "2");
  EXPECT_EQ(see(to, long_key + "and")->bytes, text_of(400'000));
}

TEST_F(save_and_load, an_entry_keeps_the_time_that_it_has_left) {
  from.put("short", "v", test::noon.now + 600); // a minute
  from.put("long", text_of(200'000), test::noon.now + 36'000);
  from.put("ever", "v", never);
  back({.unix_ms = test::noon.unix_ms + 10'000, .now = 7}); // ten seconds later
  EXPECT_EQ(see(to, "short")->expires_at, 7U + 500);
  EXPECT_EQ(see(to, "long")->expires_at, 7U + 35'900);
  EXPECT_EQ(see(to, "ever")->expires_at, never);
}

TEST_F(save_and_load, what_expires_before_it_is_loaded_is_left_out) {
  from.put("short", "v", test::noon.now + 600);
  from.put("long", text_of(200'000), test::noon.now + 600);
  from.put("ever", "v", never);
  const test::loaded got = back({.unix_ms = test::noon.unix_ms + 60'000, .now = 7});
  EXPECT_EQ(got.entries, 1U);
  EXPECT_EQ(got.state, load_state::loaded);
  EXPECT_FALSE(see(to, "short"));
  EXPECT_FALSE(see(to, "long"));
}

TEST_F(save_and_load, what_has_expired_is_not_saved) {
  from.put("gone", "v", test::noon.now + 1);
  from.put("there", "v", never);
  from.advance_clock(test::noon.now + 1);
  back();
  EXPECT_EQ(result.entries, 1U);
}

TEST_F(save_and_load, uses_references_and_the_age_of_an_entry_come_back) {
  from.put("old", "v", never);
  for (int i = 0; i < 10; ++i) from.advance_epoch();
  for (int i = 0; i < 2; ++i) {
    from.get("old", [](std::string_view) {});
    from.advance_epoch();
  }
  from.put("new", "v", never);
  back();
  const entry_meta old_before = meta_of(from, "old");
  const entry_meta old_after = meta_of(to, "old");
  EXPECT_EQ(old_after.uses(), old_before.uses());
  EXPECT_EQ(old_after.references(), old_before.references());
  EXPECT_GT(old_after.uses(), 0U);
  const epoch ages_apart =
      age_of(old_before, from.current_epoch()) - age_of(meta_of(from, "new"), from.current_epoch());
  EXPECT_GT(ages_apart, 0U);
  EXPECT_EQ(age_of(old_after, to.current_epoch()) - age_of(meta_of(to, "new"), to.current_epoch()),
            ages_apart);
}

TEST_F(save_and_load, a_second_snapshot_of_what_was_loaded_is_equal) {
  for (int i = 0; i < 20'000; ++i)
    put_typed(from, "key" + std::to_string(i), text_of(static_cast<std::size_t>(i % 300)),
              i % 2 == 0 ? "a/b" : "");
  back();
  ASSERT_EQ(save_to(in.file("again"), to).error, 0);
  store third{{}};
  const test::loaded got = load_bytes(content_of(in.file("again")), third);
  EXPECT_EQ(got.entries, 20'000U);
  for (int i = 0; i < 20'000; i += 111)
    EXPECT_TRUE(see(third, "key" + std::to_string(i)) == see(from, "key" + std::to_string(i)));
}

TEST_F(save_and_load, the_hottest_entries_are_in_what_the_time_suffices_for) {
  constexpr int entries = 40'000;
  for (int i = 0; i < entries; ++i) {
    from.put("key" + std::to_string(i), text_of(200), never);
    if (i % 500 == 0) from.advance_epoch();
  }
  for (int i = 0; i < entries; i += 10) // every tenth, all over the memory
    from.get("key" + std::to_string(i), [](std::string_view) {});
  save_request request = request_of();
  int blocks = 0;
  request.verdict_now = [&] {
    return ++blocks == 8 ? save_request::verdict::out_of_time : save_request::verdict::go_on;
  };
  const save_result cut = save_to(in.file("s"), from, request);
  EXPECT_EQ(cut.error, 0);
  EXPECT_FALSE(cut.complete);
  const test::loaded got = load_bytes(content_of(in.file("s")), to);
  EXPECT_EQ(got.state, load_state::loaded);
  EXPECT_EQ(got.entries, cut.entries);
  EXPECT_LT(got.entries, entries / 3U);
  for (int i = 0; i < entries; i += 10) EXPECT_TRUE(see(to, "key" + std::to_string(i))) << i;
}

TEST_F(save_and_load, an_aborted_snapshot_leaves_the_earlier_one) {
  test::write_file(in.file("s"), "earlier");
  for (int i = 0; i < 10'000; ++i) from.put("key" + std::to_string(i), text_of(200), never);
  save_request request = request_of();
  request.verdict_now = [] { return save_request::verdict::abort; };
  EXPECT_EQ(save_to(in.file("s"), from, request).error, ECANCELED);
  EXPECT_EQ(content_of(in.file("s")), "earlier");
  EXPECT_EQ(in.files(), 1U);
}

TEST_F(save_and_load, the_file_takes_little_more_than_keys_and_values) {
  constexpr int entries = 50'000;
  std::size_t content = 0;
  for (int i = 0; i < entries; ++i) {
    const std::string key = "key" + std::to_string(i);
    from.put(key, text_of(100), never);
    content += key.size() + 100;
  }
  back();
  EXPECT_LT(bytes.size() - content, entries * 6U);
}

} // namespace
} // namespace kvcache::snapshot
