// The fast and the careful reader of PUT bodies, held against each other over many bodies made by
// mutation. A failure prints its seed; KVCACHE_TEST_SEED repeats it.
#include "api/put_body.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace kvcache::http {
namespace {

std::uint64_t first_seed() {
  const char* const given = std::getenv("KVCACHE_TEST_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

class body_maker {
public:
  explicit body_maker(std::uint64_t seed) : random_(seed) {}

  std::string make() {
    std::string body = pick(starts);
    for (std::size_t changes = below(4); changes != 0; --changes) change(body);
    return body;
  }

private:
  static constexpr std::array<std::string_view, 9> starts{
      R"({"key":"a","value":"b"})",
      R"( { "value" : "some value", "key" : "some-longer-key-1234" } )",
      R"({"key":"a","value":"b","ttl":60})",
      R"({"key":"\u00e4\n","value":"\ud83d\ude00"})",
      "{\"key\":\"\xC3\xA4\xE2\x82\xAC\",\"value\":\"0123456789 \xF0\x9F\x98\x80 0123456789\"}",
      R"({"key":"a","value":"b","other":[1,{"key":"x"},null]})",
      R"({"key":"","value":""})",
      R"({"key":"a"})",
      R"([])"};
  static constexpr std::array<std::string_view, 43> pieces{"\"",
                                                           "\\",
                                                           "{",
                                                           "}",
                                                           "[",
                                                           "]",
                                                           ":",
                                                           ",",
                                                           " ",
                                                           "\t",
                                                           "\r\n",
                                                           "\f",
                                                           "\v",
                                                           "key",
                                                           "value",
                                                           "ttl",
                                                           "\"key\"",
                                                           "\"value\":",
                                                           "\"ttl\":1",
                                                           ",\"ttl\":0",
                                                           "\\u0041",
                                                           "\\ud83d",
                                                           "\\udE00",
                                                           "\\/",
                                                           "\x7f",
                                                           "\x1f",
                                                           "\xC3\xA4",
                                                           "\xC3",
                                                           "\xED\xA0\x80",
                                                           "\xF0\x9F\x98\x80",
                                                           "\xF4\x90\x80\x80",
                                                           "\xEF\xBB\xBF",
                                                           "0",
                                                           "1",
                                                           "-",
                                                           "1.5",
                                                           "e9",
                                                           ".0",
                                                           "e-1",
                                                           "1e400",
                                                           "E+1",
                                                           "\"ttl\":6e1",
                                                           "null"};

  template <class Array>
  std::string pick(const Array& from) {
    return std::string(from[below(from.size())]);
  }

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }

  void change(std::string& body) {
    const std::size_t at = below(body.size() + 1);
    switch (below(5)) {
    case 0:
      body.insert(at, pick(pieces));
      break;
    case 1:
      body.erase(at, 1 + below(4));
      break;
    case 2:
      if (at < body.size()) body[at] = static_cast<char>(below(256));
      break;
    case 3:
      body.insert(at, body.substr(below(body.size() + 1), below(20)));
      break;
    default:
      body.resize(at);
      break;
    }
  }

  std::mt19937_64 random_;
};

TEST(put_body_readers, agree_on_every_generated_body) {
  constexpr std::uint64_t seeds = 60;
  constexpr int bodies_per_seed = 1000;
  std::size_t taken_by_both = 0;
  std::size_t refused = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds; ++seed) {
    body_maker maker(seed);
    for (int i = 0; i < bodies_per_seed; ++i) {
      const std::string text = maker.make();
      put_body plain;
      put_body careful;
      body_scratch scratch;
      const bool taken = detail::read_plain_put_body(text, plain);
      const refusal why = detail::read_any_put_body(text, scratch, careful);
      if (why) ++refused;
      if (!taken) continue;
      ++taken_by_both;
      ASSERT_FALSE(why) << "seed " << seed << ": taken by the fast reader, refused by the other as "
                        << name_of(why.code) << ": " << text;
      ASSERT_EQ(plain, careful) << "seed " << seed << ": " << text;
    }
  }
  // The generator makes enough of both kinds to mean something.
  EXPECT_GT(taken_by_both, seeds * bodies_per_seed / 10);
  EXPECT_GT(refused, seeds * bodies_per_seed / 10);
}

TEST(put_body_readers, read_ordinary_bodies_without_the_careful_one) {
  for (const char* text :
       {R"({"key":"a","value":"b"})", R"({"value":"b","key":"a"})",
        R"({"key":"a","value":"b","ttl":60})", " {\n\"key\" : \"a\" ,\t\"value\":\"\" }\r\n",
        "{\"key\":\"\xC3\xA4\",\"value\":\"\xF0\x9F\x98\x80\"}"}) {
    put_body body;
    EXPECT_TRUE(detail::read_plain_put_body(text, body)) << text;
  }
}

} // namespace
} // namespace kvcache::http
