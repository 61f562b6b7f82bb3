// Valid and invalid bodies.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

TEST(json_body, is_parsed_with_its_members_in_any_order) {
  running_server server;
  raw_client client = server.connect();
  for (const char* body : {
           R"({"value":"v","key":"k"})",
           " {\n\t\"key\" : \"k\" ,\r\n \"value\" : \"v\" } \n",
           R"({"other":[1,{"key":2}],"key":"k","value":"v","more":null})",
           R"({"k\u0065y":"k","value":"v"})",
           R"({"key":"k","value":"v","ttl":10})",
       }) {
    EXPECT_EQ(client.ask(post_request("/put", body)).status, 200U) << body;
    EXPECT_EQ(client.ask(get_request("/get?key=k")).body,
              R"({"status":"OK","key":"k","value":"v"})")
        << body;
    client.ask(post_request("/delete", R"({"key":"k"})"));
  }
}

// RFC 8259 §8.1, Unicode table 3-7: names are text like values, also unknown names.
TEST(json_body, is_rejected_if_a_member_name_is_not_utf_8) {
  running_server server;
  raw_client client = server.connect();
  const auto status = [&](const std::string& name) {
    return client.ask(post_request("/put", R"({")" + name + R"(":1,"key":"k","value":"v"})"))
        .status;
  };
  for (const std::string name :
       {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "key\xC2\x80", "\xEF\xBF\xBE", R"(\u00e9)",
        R"(\ud83d\ude00)", R"(key\u0000)", ""})
    EXPECT_EQ(status(name), 200U) << name;
  for (const std::string name :
       {"\xFF", "key\xFF", "\x80", "\xC0\xAF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80",
        "\xF4\x90\x80\x80", "\xF0\x9F\x98", R"(\ud800)", R"(\udc00)", R"(\ud800\u0041)"})
    EXPECT_EQ(status(name), 400U) << name;
}

TEST(json_body, is_rejected_if_it_is_malformed) {
  running_server server;
  raw_client client = server.connect();
  const std::string bodies[] = {
      "",
      "null",
      "[]",
      R"(["key","value"])",
      R"("key")",
      "{}",
      R"({"key":"k"})",
      R"({"value":"v"})",
      R"({"key":1,"value":"v"})",
      R"({"key":"k","value":1})",
      R"({"key":null,"value":"v"})",
      R"({"key":"k","value":{}})",
      R"({"key":"k","key":"k","value":"v"})",
      R"({"key":"k","value":"v","value":"w"})",
      R"({"key":"k","value":"v"}x)",
      R"({"key":"k","value":"v"}{})",
      R"({"key":"k","value":"v")",
      R"({"key":"k","value":"v",})",
      R"({'key':'k','value':'v'})",
      R"({"key":"k" "value":"v"})",
      R"({"key":"k","value":"\x"})",
      R"({"key":"k","value":"\ud800"})",
      R"({"key":"k","value":"\ud800\u0041"})",
      R"({"key":"k","value":"\udc00"})",
      R"({"key":"k","value":"\u00g0"})",
      "\xEF\xBB\xBF{\"key\":\"k\",\"value\":\"v\"}",
      "{\"key\":\"k\",\"value\":\"\xC0\xAF\"}",
      "{\"key\":\"k\",\"value\":\"\xED\xA0\x80\"}",
      "{\"key\":\"k\",\"value\":\"\xF4\x90\x80\x80\"}",
      "{\"key\":\"k\",\"value\":\"\xFF\"}",
      "{\"key\":\"k\",\"value\":\"a\nb\"}",
      std::string{"{\"key\":\"k\",\"value\":\"v\"}\0", 24},
      R"({"key":"k","value":"v","ttl":0})",
      R"({"key":"k","value":"v","ttl":-1})",
      R"({"key":"k","value":"v","ttl":1.5})",
      R"({"key":"k","value":"v","ttl":"1"})",
      R"({"key":"k","value":"v","ttl":315360001})",
  };
  for (const std::string& body : bodies)
    EXPECT_EQ(client.ask(post_request("/put", body)).status, 400U) << body;
  EXPECT_EQ(client.ask(get_request("/get?key=k")).status, 404U);
}

// What no JSON parser may take, at each place where a batch has a value.
TEST(json_body, of_a_batch_is_rejected_whatever_is_malformed_inside_an_operation) {
  running_server server;
  raw_client client = server.connect();
  const std::string fragments[] = {"",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   "[,]",
                                   "[1,]",
                                   "[1 2]",
                                   "[\"a\",,1]",
                                   "{\"a\"}",
                                   "{\"a\":}",
                                   "{\"a\":1,}",
                                   "{a:1}",
                                   "{\"a\" 1}",
                                   "{1:1}",
                                   "nul",
                                   "truE",
                                   "undefined",
                                   "NaN",
                                   "-NaN",
                                   "Infinity",
                                   "+1",
                                   ".5",
                                   "1.",
                                   "01",
                                   "-01",
                                   "0x1",
                                   "1e",
                                   "1e+",
                                   "--1",
                                   "- 1",
                                   "1_000",
                                   "'a'",
                                   "\"a",
                                   "\"\\",
                                   "\"\\x\"",
                                   "\"\\u12\"",
                                   "\"\\ud800\"",
                                   "\"\\udc00\"",
                                   "\"\t\"",
                                   "\"\xC3\"",
                                   "\"\xC0\xAF\"",
                                   "\"\xED\xA0\x80\"",
                                   "\\u0061",
                                   "/**/1",
                                   "1//",
                                   "1 1",
                                   "\xEF\xBB\xBF"
                                   "1",
                                   "\xFF",
                                   "\v1",
                                   "#",
                                   "\"a\"\"b\""};
  const std::pair<std::string, std::string> places[] = {
      {R"({"op":"put","key":"k","value":"v"},)", ""},
      {R"({"op":"put","key":"k","value":"v"},{"op":"get","key":)", "}"},
      {R"({"op":"put","key":"k","value":"v"},{"op":"put","key":"a","value":)", "}"},
      {R"({"op":"put","key":"k","value":"v"},{"op":"touch","key":"a","ttl":)", "}"},
      {R"({"op":"put","key":"k","value":"v"},{"op":"incr","key":"a","by":)", "}"},
      {R"({"op":"put","key":"k","value":"v"}],"other":[)", ",1"}};
  for (const auto& [before, after] : places) {
    for (const std::string& fragment : fragments) {
      const std::string body = R"({"ops":[)" + before + fragment + after + "]}";
      const http_reply reply = client.ask(post_request("/batch", body));
      EXPECT_EQ(reply.status, 400U) << body;
    }
  }
  EXPECT_EQ(client.ask(get_request("/get?key=k")).status, 404U);
}

TEST(json_body, of_a_batch_may_be_nested_deeply) {
  running_server server;
  raw_client client = server.connect();
  const std::string open(100'000, '[');
  const std::string close(100'000, ']');
  const auto status = [&](const std::string& body) {
    return client.ask(post_request("/batch", body)).status;
  };
  EXPECT_EQ(status(R"({"ops":)" + open), 400U);
  EXPECT_EQ(status(R"({"ops":)" + open + close + "}"), 400U);
  EXPECT_EQ(status(R"({"ops":[{"op":"get","key":)" + open + close + "}]}"), 400U);
  EXPECT_EQ(status(R"({"ops":[],"other":)" + open + close + "}"), 200U);
}

TEST(json_body, may_be_nested_deeply) {
  running_server server{{"--max-body-bytes", "300000"}};
  raw_client client = server.connect();
  const std::string open(100'000, '[');
  const std::string close(100'000, ']');
  EXPECT_EQ(client.ask(post_request("/put", open)).status, 400U);
  EXPECT_EQ(client.ask(post_request("/put", open + close)).status, 400U);
  EXPECT_EQ(client.ask(post_request("/put", R"({"other":)" + open + close + "}")).status, 400U);
  EXPECT_EQ(client.ask(put_request("k", "v")).status, 200U);
}

} // namespace
} // namespace kvcache::test
