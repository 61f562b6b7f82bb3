#include "snapshot/format.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>
#include <string_view>

namespace kvcache::snapshot {
namespace {

std::string_view view(const auto& bytes) { return {bytes.data(), bytes.size()}; }

TEST(snapshot_format, a_file_header_comes_back) {
  const auto bytes = encode(file_header{0xA1B2'C3D4'E5F6'0718, 1'700'000'000'123, 77});
  const decoded_header read = decode_file_header(view(bytes));
  EXPECT_EQ(read.fault, header_fault::none);
  EXPECT_EQ(read.version, 1U);
  EXPECT_EQ(read.header.sync, 0xA1B2'C3D4'E5F6'0718U);
  EXPECT_EQ(read.header.written_at_ms, 1'700'000'000'123U);
  EXPECT_EQ(read.header.entries, 77U);
}

TEST(snapshot_format, tells_a_newer_version_from_another_file_and_from_damage) {
  auto bytes = encode(file_header{1, 2, 3});
  bytes[8] = 2;
  EXPECT_EQ(decode_file_header(view(bytes)).fault, header_fault::newer_version);
  EXPECT_EQ(decode_file_header(view(bytes)).version, 2U);
  bytes[8] = 1;
  bytes[20] ^= 1;
  EXPECT_EQ(decode_file_header(view(bytes)).fault, header_fault::damaged);
  EXPECT_EQ(decode_file_header(view(bytes).substr(0, 47)).fault, header_fault::damaged);
  bytes[0] = 'x';
  EXPECT_EQ(decode_file_header(view(bytes)).fault, header_fault::not_a_snapshot);
  EXPECT_EQ(decode_file_header("").fault, header_fault::not_a_snapshot);
}

TEST(snapshot_format, no_changed_bit_of_a_header_goes_unnoticed) {
  const auto file = encode(file_header{0x0102'0304'0506'0708, 9, 10});
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    auto other = file;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(decode_file_header(view(other)).fault, header_fault::none) << bit;
  }
  std::array<char, block_header_bytes> block;
  encode(block_header{block_kind::continuation, 3, 1000, 0xDEAD'BEEF}, 42, block.data());
  ASSERT_TRUE(decode_block_header(view(block), 42));
  for (std::size_t bit = 0; bit < 8 * block.size(); ++bit) {
    auto other = block;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_block_header(view(other), 42)) << bit;
  }
}

TEST(snapshot_format, a_block_of_another_file_is_none) {
  std::array<char, block_header_bytes> block;
  encode(block_header{block_kind::entries, 0, 5, 6}, 42, block.data());
  EXPECT_TRUE(decode_block_header(view(block), 42));
  EXPECT_FALSE(decode_block_header(view(block), 43));
}

TEST(snapshot_format, a_block_longer_than_the_longest_is_none) {
  std::array<char, block_header_bytes> block;
  encode(block_header{block_kind::entries, 0, payload_bytes_most + 1, 6}, 42, block.data());
  EXPECT_FALSE(decode_block_header(view(block), 42));
}

entry_header back(const entry_header& header) {
  std::array<char, entry_header_bytes_most> bytes;
  const std::size_t written = encode(header, bytes.data());
  static std::string kept; // the type is a view of it
  kept.assign(bytes.data(), written).append("key and value");
  std::string_view from{kept};
  const auto read = decode_entry_header(from);
  EXPECT_TRUE(read);
  EXPECT_EQ(from, "key and value");
  return read.value_or(entry_header{});
}

TEST(snapshot_format, all_members_of_an_entry_come_back) {
  const entry_header header{.uses = 2,
                            .references = 3,
                            .age_epochs = 8'000'000,
                            .is_utf8 = true,
                            .type = "image/png",
                            .expires_at_ms = 1'700'000'100'000,
                            .key_bytes = 4'000'000,
                            .value_bytes = 64U << 20U};
  const entry_header read = back(header);
  EXPECT_EQ(read.uses, 2U);
  EXPECT_EQ(read.references, 3U);
  EXPECT_EQ(read.age_epochs, 8'000'000U);
  EXPECT_TRUE(read.is_utf8);
  EXPECT_EQ(read.type, "image/png");
  EXPECT_EQ(read.expires_at_ms, 1'700'000'100'000U);
  EXPECT_EQ(read.key_bytes, 4'000'000U);
  EXPECT_EQ(read.value_bytes, 64U << 20U);
}

TEST(snapshot_format, types_that_most_entries_have_take_no_room) {
  std::array<char, entry_header_bytes_most> bytes;
  const entry_header text{
      .is_utf8 = true, .type = "text/plain; charset=utf-8", .key_bytes = 20, .value_bytes = 100};
  EXPECT_EQ(encode(text, bytes.data()), 4U);
  EXPECT_EQ(back(text).type, text.type);
  const entry_header none{.key_bytes = 20, .value_bytes = 100};
  EXPECT_EQ(encode(none, bytes.data()), 4U);
  EXPECT_EQ(back(none).type, "");
}

TEST(snapshot_format, the_longest_entry_header_has_the_length_that_is_promised) {
  const std::string type(type_bytes_most, 't');
  std::array<char, entry_header_bytes_most> bytes;
  const std::size_t written = encode({.age_epochs = UINT32_MAX,
                                      .type = type,
                                      .expires_at_ms = UINT64_MAX >> 1U,
                                      .key_bytes = UINT64_MAX >> 1U,
                                      .value_bytes = UINT64_MAX >> 1U},
                                     bytes.data());
  EXPECT_LE(written, bytes.size());
}

TEST(snapshot_format, an_entry_header_that_is_cut_off_or_of_another_form_is_none) {
  const entry_header header{.age_epochs = 300, .type = "a/b", .expires_at_ms = 1, .key_bytes = 1};
  std::array<char, entry_header_bytes_most> bytes;
  const std::size_t written = encode(header, bytes.data());
  for (std::size_t length = 0; length < written; ++length) {
    std::string_view part{bytes.data(), length};
    EXPECT_FALSE(decode_entry_header(part)) << length;
  }
  bytes[0] = static_cast<char>(0xC0); // a kind of type that does not exist
  std::string_view other{bytes.data(), written};
  EXPECT_FALSE(decode_entry_header(other));
  std::string_view endless{"\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12};
  EXPECT_FALSE(decode_entry_header(endless));
}

TEST(snapshot_format, what_eviction_has_learned_comes_back_unless_it_cannot_have_been_learned) {
  hit_density::experience learned;
  learned.hits[3][27] = 1234.5F;
  learned.exposure[0][0] = 1e9F;
  const auto bytes = encode(learned);
  const auto read = decode_experience(view(bytes));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->hits, learned.hits);
  EXPECT_EQ(read->exposure, learned.exposure);
  EXPECT_FALSE(decode_experience(view(bytes).substr(4)));
  for (const float never_learned :
       {-1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    learned.hits[1][2] = never_learned;
    const auto impossible = encode(learned);
    EXPECT_FALSE(decode_experience(view(impossible))) << never_learned;
  }
}

TEST(snapshot_format, the_totals_come_back) {
  const auto bytes = encode(totals{5, 600, true});
  const auto read = decode_totals(view(bytes));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entries, 5U);
  EXPECT_EQ(read->bytes, 600U);
  EXPECT_TRUE(read->complete);
  EXPECT_FALSE(decode_totals(view(bytes).substr(1)));
}

} // namespace
} // namespace kvcache::snapshot
