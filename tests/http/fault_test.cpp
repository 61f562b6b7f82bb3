#include "http/fault.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kvcache::http {
namespace {

fault at(std::size_t i) { return static_cast<fault>(i); }

TEST(fault_table, has_a_status_with_a_reason_and_a_sentence_for_every_fault) {
  const fault_table table{http_limits{}};
  for (std::size_t i = 1; i < fault_count; ++i) {
    const fault_reply& reply = table[at(i)];
    EXPECT_GE(reply.status, 400U) << name_of(at(i));
    EXPECT_LT(reply.status, 600U) << name_of(at(i));
    EXPECT_FALSE(reason_phrase(reply.status).empty()) << reply.status;
    ASSERT_FALSE(reply.message.empty()) << name_of(at(i));
    EXPECT_EQ(reply.message.back(), '.') << reply.message;
    const bool is_named = at(i) == fault::unknown_parameter || at(i) == fault::snapshot_failed ||
                          at(i) == fault::still_loading;
    if (!is_named) { // in place of the sign
      EXPECT_EQ(reply.message.find('#'), std::string_view::npos) << reply.message;
    }
    for (const char c : reply.message) EXPECT_TRUE(c >= ' ' && c <= '~') << reply.message;
    EXPECT_TRUE(reply.extra_fields.empty() || reply.extra_fields.ends_with("\r\n"));
  }
}

TEST(fault_table, has_a_distinct_name_for_every_fault) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < fault_count; ++i) EXPECT_TRUE(names.insert(name_of(at(i))).second);
  EXPECT_EQ(name_of(fault::bad_host), "bad_host");
}

TEST(fault_table, has_the_fixed_messages_that_clients_rely_on) {
  const fault_table table{http_limits{}};
  EXPECT_EQ(table[fault::key_not_found].status, 404U);
  EXPECT_EQ(table[fault::key_not_found].message, "Key not found.");
  EXPECT_EQ(table[fault::missing_key_parameter].status, 400U);
  EXPECT_EQ(table[fault::missing_key_parameter].message, "Missing key parameter.");
  EXPECT_EQ(table[fault::key_or_value_too_long].status, 400U);
  EXPECT_EQ(table[fault::key_or_value_too_long].message, "Key or Value exceeds 256 characters.");
}

TEST(fault_table, names_the_limits_in_force) {
  http_limits limits;
  limits.max_key_chars = limits.max_value_chars = 1000;
  limits.body_bytes = 12345;
  const fault_table equal(limits);
  EXPECT_EQ(equal[fault::key_or_value_too_long].message, "Key or Value exceeds 1000 characters.");
  EXPECT_EQ(equal[fault::body_too_large].message, "The request body exceeds 12345 bytes.");
  limits.max_value_chars = 2000;
  const fault_table different(limits);
  EXPECT_EQ(different[fault::key_or_value_too_long].message,
            "Key exceeds 1000 or Value exceeds 2000 characters.");
}

TEST(fault_table, closes_if_the_end_of_the_request_is_uncertain_and_only_then) {
  const fault_table table{http_limits{}};
  for (std::size_t i = 1; i <= static_cast<std::size_t>(fault::body_too_slow); ++i)
    EXPECT_EQ(table[at(i)].then, after_reply::close) << name_of(at(i));
  for (const fault code :
       {fault::invalid_json, fault::key_not_found, fault::unknown_path, fault::no_room,
        fault::missing_key_parameter, fault::method_not_allowed, fault::cross_origin})
    EXPECT_EQ(table[code].then, after_reply::go_on) << name_of(code);
}

TEST(fault_table, states_when_to_retry_and_how_to_authenticate) {
  const fault_table table{http_limits{}};
  EXPECT_EQ(table[fault::no_room].extra_fields, "Retry-After: 1\r\n"); // RFC 9110 §10.2.3
  EXPECT_EQ(table[fault::too_many_connections].extra_fields, "Retry-After: 1\r\n");
  EXPECT_EQ(table[fault::unsupported_content_coding].extra_fields,
            "Accept-Encoding: identity\r\n"); // RFC 9110 §15.5.16
  EXPECT_EQ(table[fault::unauthorized].extra_fields, "WWW-Authenticate: Bearer\r\n"); // §11.6.1
}

} // namespace
} // namespace kvcache::http
