#include "http/chunk_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::http {
namespace {

// Every beginning of a valid text can still become valid.
void expect_accepted(std::string_view text, bool after_chunk = false) {
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes)
    EXPECT_EQ(check_chunk_line(text.substr(0, bytes), after_chunk), fault::none)
        << text.substr(0, bytes);
}

void expect_refused(std::string_view text, fault why, bool after_chunk = false) {
  EXPECT_EQ(check_chunk_line(text, after_chunk), why) << text;
}

TEST(chunk_line, is_accepted_at_every_length_on_its_way_to_being_whole) {
  expect_accepted("3\r\nabc");
  expect_accepted("0aF;name=\"value\"\r\nabc");
  expect_accepted("3 \t;a\r\n");
  expect_accepted("\r\n3\r\n", true);
  expect_accepted("0\r\n\r\n");
  expect_accepted("000\r\nTrailer: a\r\nOther: b\r\n\r\n");
}

TEST(chunk_line, is_refused_as_soon_as_it_cannot_become_valid) {
  expect_refused("x", fault::bad_chunk);
  expect_refused("3x", fault::bad_chunk);
  expect_refused("3 x", fault::bad_chunk_extension);
  expect_refused("3\rx", fault::bad_line_ending);
  expect_refused("3;a\rb", fault::bad_line_ending);
  expect_refused("3;a\n", fault::bad_chunk);
  expect_refused("a", fault::bad_chunk, true);
  expect_refused("\rx", fault::bad_chunk, true);
  expect_refused("0\r\nTrailer: a\nb", fault::bad_line_ending);
  expect_refused("0\r\nTrailer: a\rb", fault::bad_line_ending);
}

TEST(chunk_line, has_extensions_without_control_characters) {
  EXPECT_TRUE(are_chunk_extensions(";a=\"\tb\xff\""));
  for (const std::string_view text : {";a\r", ";a\n", ";\x7f"})
    EXPECT_FALSE(are_chunk_extensions(text));
}

} // namespace
} // namespace kvcache::http
