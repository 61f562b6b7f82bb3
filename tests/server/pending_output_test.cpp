#include "server/pending_output.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::http {
namespace {

TEST(pending_output, copies_a_small_rest_and_takes_over_the_buffer_of_a_large_one) {
  for (const std::size_t sent : {std::size_t{10}, std::size_t{9'990}}) {
    output_buffer out;
    std::string text(10'000, 'a');
    text.back() = 'z';
    out.append(text);
    const std::size_t capacity = out.capacity();
    pending_output pending;
    pending.keep(out, sent);
    EXPECT_EQ(pending.next(), std::string_view(text).substr(sent));
    EXPECT_TRUE(out.empty());
    const bool is_large = text.size() - sent >= capacity / 2;
    EXPECT_EQ(pending.capacity() == capacity, is_large);
    pending.note_sent(pending.next().size() - 1);
    EXPECT_EQ(pending.next(), "z");
    pending.release();
    EXPECT_TRUE(pending.empty());
  }
}

TEST(pending_output, adds_up_small_acknowledgements_until_they_count) {
  pending_output pending;
  pending.expect_from(2000);
  EXPECT_EQ(pending.take_acknowledged(1800), 0U);
  EXPECT_EQ(pending.take_acknowledged(2100), 0U); // more was queued
  EXPECT_EQ(pending.take_acknowledged(1488), 512U);
  EXPECT_EQ(pending.take_acknowledged(1488), 0U);
  EXPECT_EQ(pending.take_acknowledged(UINT32_MAX), 0U); // the socket has failed
}

TEST(pending_output, calls_a_sixteenth_of_the_held_bytes_good_use) {
  output_buffer out;
  out.append(std::string(16'000, 'a'));
  pending_output pending;
  pending.keep(out, 0);
  const std::size_t sixteenth = pending.capacity() / 16;
  EXPECT_FALSE(pending.note_taken(sixteenth - 1));
  EXPECT_TRUE(pending.note_taken(1));
  EXPECT_FALSE(pending.note_taken(sixteenth - 1));
}

} // namespace
} // namespace kvcache::http
