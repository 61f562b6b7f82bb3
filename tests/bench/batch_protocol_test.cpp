// The load generator's requests of many keys. A server that fails must not look fast, so each fault
// of a reply has to be counted.
#include "lib/batch_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace kvcache::bench {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array<std::uint64_t, 3> keys{7, 4, 9};

workload_options three_letter_values() {
  workload_options options;
  options.keys = 10;
  options.key_bytes = 6;
  options.value_bytes_min = options.value_bytes_max = 3;
  return options;
}

const workload& work() {
  static const workload made(three_letter_values());
  return made;
}

std::string key_of(std::uint64_t index) {
  std::string key;
  work().append_key(key, index);
  return key;
}

std::string value_of(std::uint64_t index) { return std::string(work().value_of(index)); }

std::string request(protocol spoken, operation what) {
  std::string text;
  append_batch(spoken, text, what, work(), keys);
  return text;
}

batch_reply read(protocol spoken, std::string_view text, operation what, bool verify = true) {
  return read_batch(spoken, text, what, work(), keys, verify);
}

// ok, misses, refused, errors, wrong values
std::vector<std::uint64_t> counts(const batch_reply& got) {
  return {got.ok, got.misses, got.refused, got.errors, got.wrong_values};
}

using some = std::vector<std::uint64_t>;

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

std::string results(const std::vector<std::string>& each) {
  std::string body = R"({"status":"OK","results":[)";
  for (const std::string& result : each) {
    body += (body.back() == '[' ? "" : ",") + result;
  }
  return http(body + "]}");
}

std::string hit(std::uint64_t index) {
  return R"({"code":200,"status":"OK","key":")" + key_of(index) + R"(","value":")" +
         value_of(index) + R"("})";
}

const std::string stored = R"({"code":200,"status":"OK","message":"Stored."})";
const std::string missing = R"({"code":404,"status":"ERROR","message":"Key not found."})";
const std::string no_room = R"({"code":503,"status":"ERROR","message":"No {\"room\"}."})";

std::string hits() { return results({hit(7), hit(4), hit(9)}); }

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::string line_of_hit(std::uint64_t index) {
  return "VALUE " + key_of(index) + " 0 3\r\n" + value_of(index) + "\r\n";
}

// ---- HTTP ---------------------------------------------------------------------------------------

TEST(http_batch, is_one_post_with_its_length) {
  for (const operation what : {operation::get, operation::put}) {
    const std::string text = request(protocol::http, what);
    const auto body_at = text.find("\r\n\r\n") + 4;
    EXPECT_THAT(text, StartsWith("POST /batch HTTP/1.1\r\n"));
    EXPECT_THAT(text,
                HasSubstr("\r\nContent-Length: " + std::to_string(text.size() - body_at) + "\r\n"));
  }
  EXPECT_THAT(request(protocol::http, operation::get),
              EndsWith(R"({"ops":[{"op":"get","key":"key:07"},{"op":"get","key":"key:04"},)"
                       R"({"op":"get","key":"key:09"}]})"));
  EXPECT_THAT(request(protocol::http, operation::put),
              EndsWith(R"({"op":"put","key":"key:09","value":")" + value_of(9) + R"("}]})"));
}

TEST(http_batch, counts_hits_misses_and_refusals) {
  const auto got = read(protocol::http, results({missing, hit(4), no_room}), operation::get);
  EXPECT_EQ(counts(got), (some{1, 1, 1, 0, 0}));
  EXPECT_EQ(counts(read(protocol::http, hits(), operation::get)), (some{3, 0, 0, 0, 0}));
  EXPECT_EQ(counts(read(protocol::http, results({stored, no_room, stored}), operation::put)),
            (some{2, 0, 1, 0, 0}));
}

TEST(http_batch, reads_hits_with_further_members_and_escapes) {
  const std::string more =
      R"({"code":200,"status":"OK","key":"key:07","value":")" + value_of(7) + R"(","ttl_left":60})";
  const std::string escaped = R"({"code":200,"status":"OK","key":"key:04","value":"\"}]\\"})";
  EXPECT_EQ(counts(read(protocol::http, results({more, escaped, hit(9)}), operation::get)),
            (some{3, 0, 0, 0, 1}));
}

TEST(http_batch, counts_absent_results_as_errors) {
  EXPECT_EQ(counts(read(protocol::http, results({hit(7)}), operation::get)), (some{1, 0, 0, 2, 0}));
  EXPECT_EQ(counts(read(protocol::http, results({}), operation::put)), (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::http, http("{}"), operation::get)), (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::http, results({hit(7), hit(4) + "x", hit(9)}), operation::get)),
            (some{2, 0, 0, 1, 0}));
}

TEST(http_batch, counts_results_of_another_shape_as_errors) {
  EXPECT_EQ(counts(read(protocol::http, results({stored, stored, stored}), operation::get)),
            (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(
      counts(read(protocol::http, results({hit(7), hit(4), R"({"code":409,"message":"No."})"}),
                  operation::get)),
      (some{2, 0, 0, 1, 0}));
  EXPECT_EQ(counts(read(protocol::http, results({hit(7), hit(4), hit(9), hit(9)}), operation::get)),
            (some{0, 0, 0, 3, 0}));
}

TEST(http_batch, counts_a_refused_request_for_all_its_keys) {
  EXPECT_EQ(counts(read(protocol::http, http("{}", "400 Bad Request"), operation::get)),
            (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::http, http("{}", "404 Not Found"), operation::put)),
            (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::http, http("{}", "503 Unavailable"), operation::put)),
            (some{0, 0, 3, 0, 0}));
}

TEST(http_batch, compares_all_values_or_the_last) {
  const std::string first_wrong = results({hit(4), hit(4), hit(9)});
  const std::string last_wrong = results({hit(7), hit(4), hit(4)});
  EXPECT_EQ(read(protocol::http, first_wrong, operation::get).wrong_values, 1U);
  EXPECT_EQ(read(protocol::http, first_wrong, operation::get, false).wrong_values, 0U);
  EXPECT_EQ(read(protocol::http, last_wrong, operation::get, false).wrong_values, 1U);
}

// ---- Redis --------------------------------------------------------------------------------------

TEST(redis_batch, is_one_command) {
  EXPECT_EQ(request(protocol::redis, operation::get),
            "*4\r\n" + bulk("MGET") + bulk("key:07") + bulk("key:04") + bulk("key:09"));
  EXPECT_EQ(request(protocol::redis, operation::put),
            "*7\r\n" + bulk("MSET") + bulk("key:07") + bulk(value_of(7)) + bulk("key:04") +
                bulk(value_of(4)) + bulk("key:09") + bulk(value_of(9)));
}

TEST(redis_batch, counts_every_result) {
  const std::string two = "*3\r\n" + bulk(value_of(7)) + "$-1\r\n" + bulk(value_of(9));
  EXPECT_EQ(counts(read(protocol::redis, two, operation::get)), (some{2, 1, 0, 0, 0}));
  const std::string wrong = "*3\r\n" + bulk("no") + "-ERR\r\n" + bulk(value_of(9));
  EXPECT_EQ(counts(read(protocol::redis, wrong, operation::get)), (some{2, 0, 0, 1, 1}));
  EXPECT_EQ(counts(read(protocol::redis, "+OK\r\n", operation::put)), (some{3, 0, 0, 0, 0}));
}

TEST(redis_batch, counts_a_failed_command_for_all_its_keys) {
  EXPECT_EQ(counts(read(protocol::redis, "-OOM no\r\n", operation::put)), (some{0, 0, 3, 0, 0}));
  EXPECT_EQ(counts(read(protocol::redis, "-ERR no\r\n", operation::get)), (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::redis, "+OK\r\n", operation::get)), (some{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(read(protocol::redis, "*1\r\n" + bulk(value_of(7)), operation::get)),
            (some{0, 0, 0, 3, 0}));
}

// ---- memcached ----------------------------------------------------------------------------------

TEST(memcached_batch, is_a_multi_get_or_quiet_sets) {
  EXPECT_EQ(request(protocol::memcached, operation::get), "get key:07 key:04 key:09\r\n");
  EXPECT_EQ(request(protocol::memcached, operation::put),
            "ms key:07 3 q\r\n" + value_of(7) + "\r\nms key:04 3 q\r\n" + value_of(4) +
                "\r\nms key:09 3 q\r\n" + value_of(9) + "\r\nmn\r\n");
}

TEST(memcached_batch, counts_the_keys_that_are_left_out_as_misses) {
  EXPECT_EQ(counts(read(protocol::memcached, line_of_hit(7) + line_of_hit(9) + "END\r\n",
                        operation::get)),
            (some{2, 1, 0, 0, 0}));
  EXPECT_EQ(counts(read(protocol::memcached, "END\r\n", operation::get)), (some{0, 3, 0, 0, 0}));
}

TEST(memcached_batch, counts_faults) {
  EXPECT_EQ(
      counts(read(protocol::memcached, line_of_hit(7) + "SERVER_ERROR no\r\n", operation::get)),
      (some{1, 0, 0, 2, 0}));
  EXPECT_EQ(counts(read(protocol::memcached, line_of_hit(5) + "END\r\n", operation::get)),
            (some{1, 2, 0, 0, 1}));
  const std::string swapped = line_of_hit(4) + line_of_hit(7) + line_of_hit(9) + "END\r\n";
  EXPECT_GT(read(protocol::memcached, swapped, operation::get).wrong_values, 0U);
  const std::string last_wrong = line_of_hit(7) + line_of_hit(4) + line_of_hit(5) + "END\r\n";
  EXPECT_EQ(read(protocol::memcached, last_wrong, operation::get, false).wrong_values, 1U);
}

TEST(memcached_batch, counts_the_sets_that_failed) {
  EXPECT_EQ(counts(read(protocol::memcached, "MN\r\n", operation::put)), (some{3, 0, 0, 0, 0}));
  EXPECT_EQ(
      counts(read(protocol::memcached, "SERVER_ERROR out of memory storing object\r\nNS\r\nMN\r\n",
                  operation::put)),
      (some{1, 0, 1, 1, 0}));
  EXPECT_EQ(counts(read(protocol::memcached, "NS\r\nNS\r\nNS\r\nNS\r\nMN\r\n", operation::put)),
            (some{0, 0, 0, 3, 0}));
}

// ---- all ----------------------------------------------------------------------------------------

TEST(batch_reply, is_incomplete_until_its_last_byte_and_ends_there) {
  struct example {
    protocol spoken;
    operation what;
    std::string text;
  };
  const std::array<example, 6> examples{{
      {protocol::http, operation::get, hits()},
      {protocol::http, operation::put, results({stored, stored, stored})},
      {protocol::redis, operation::get,
       "*3\r\n" + bulk(value_of(7)) + bulk(value_of(4)) + bulk(value_of(9))},
      {protocol::redis, operation::put, "+OK\r\n"},
      {protocol::memcached, operation::get,
       line_of_hit(7) + line_of_hit(4) + line_of_hit(9) + "END\r\n"},
      {protocol::memcached, operation::put, "MN\r\n"},
  }};
  for (const auto& [spoken, what, text] : examples) {
    for (std::size_t bytes = 1; bytes < text.size(); ++bytes) {
      EXPECT_EQ(read(spoken, std::string_view(text).substr(0, bytes), what).bytes, 0U) << text;
    }
    const batch_reply got = read(spoken, text + text, what);
    EXPECT_EQ(got.bytes, text.size()) << text;
    EXPECT_EQ(counts(got), (some{3, 0, 0, 0, 0})) << text;
  }
}

} // namespace
} // namespace kvcache::bench
