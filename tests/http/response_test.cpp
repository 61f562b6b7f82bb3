#include "http/response.hpp"

#include "http/value_response.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace kvcache::http {
namespace {

constexpr std::time_t some_sunday = 784111777; // the example of RFC 9110 §5.6.7
constexpr reply_options plain{};
constexpr reply_options closing{persistence::close, body_part::send};
constexpr reply_options staying_1_0{persistence::keep_alive, body_part::send};
constexpr reply_options head_only{persistence::implied, body_part::omit};

// A reply taken apart; checks on the way what holds for all of them.
struct reply_text {
  explicit reply_text(std::string_view text) {
    const std::size_t end = text.find("\r\n\r\n");
    EXPECT_NE(end, std::string_view::npos) << text;
    head = text.substr(0, end + 2);
    body = text.substr(end + 4);
    EXPECT_TRUE(head.starts_with("HTTP/1.1 ")) << head;
    EXPECT_EQ(head.find('\n', head.size() - 1), head.size() - 1);
  }
  bool has(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
  std::string head;
  std::string body;
};

class response : public ::testing::Test {
protected:
  response() { writer_.refresh(some_sunday); }

  // A GET's reply; the value as if it came from the store. Not inlined: gcc 12 would warn about
  // branches that a constant key never takes.
  [[gnu::noinline]] std::string get(std::string_view key, std::string_view value,
                                    reply_options how = plain) {
    output_buffer out;
    value_response reply(writer_, out, json_envelope{key}, how);
    do reply.value(value);
    while (reply.reserve_more());
    return std::string(out.view());
  }

  http_limits limits_;
  fault_table faults_{limits_};
  response_writer writer_{faults_};
};

TEST_F(response, to_a_hit_is_exactly_this) {
  EXPECT_EQ(get("K", "V"), "HTTP/1.1 200 OK\r\n"
                           "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                           "Content-Type: application/json\r\n"
                           "Cache-Control: no-store\r\n"
                           "Content-Length: 37\r\n"
                           "\r\n"
                           R"({"status":"OK","key":"K","value":"V"})");
}

TEST_F(response, to_a_put_a_delete_and_a_miss_has_the_fixed_message) {
  const auto body_of = [&](auto write) {
    output_buffer out;
    write(out);
    const reply_text reply(out.view());
    EXPECT_TRUE(reply.has("Content-Length: " + std::to_string(reply.body.size()))) << reply.head;
    EXPECT_TRUE(reply.has("Content-Type: application/json"));
    EXPECT_TRUE(reply.has("Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    return reply.head.substr(9, 3) + ' ' + reply.body;
  };
  EXPECT_EQ(body_of([&](output_buffer& out) { writer_.copy(out, prepared::stored, plain); }),
            R"(200 {"status":"OK","message":"Key inserted/updated successfully."})");
  EXPECT_EQ(body_of([&](output_buffer& out) { writer_.copy(out, prepared::deleted, plain); }),
            R"(200 {"status":"OK","message":"Key deleted."})");
  EXPECT_EQ(body_of([&](output_buffer& out) { writer_.copy(out, prepared::not_found, plain); }),
            R"(404 {"status":"ERROR","message":"Key not found."})");
  EXPECT_EQ(
      body_of([&](output_buffer& out) { writer_.refuse(out, {fault::key_not_found}, plain); }),
      R"(404 {"status":"ERROR","message":"Key not found."})");
}

TEST_F(response, returns_any_key_and_value_byte_for_byte) {
  std::string all;
  for (int i = 0; i < 0x80; ++i) all += static_cast<char>(i);
  all += "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
  for (std::size_t size = 0; size <= all.size(); ++size) {
    if (size > 0x80 && size < all.size()) continue; // in the middle of a character
    const std::string part = all.substr(0, size);
    const reply_text reply(get(part, part));
    EXPECT_TRUE(reply.has("Content-Length: " + std::to_string(reply.body.size())));
    const auto json = nlohmann::json::parse(reply.body);
    EXPECT_EQ(json["status"], "OK");
    EXPECT_EQ(json["key"].get<std::string>(), part);
    EXPECT_EQ(json["value"].get<std::string>(), part);
  }
}

TEST_F(response, reserves_space_for_a_large_value_outside_the_lock) {
  output_buffer out;
  out.append("earlier reply");
  const std::string large(100'000, '\x01'); // six bytes each when escaped
  value_response reply(writer_, out, json_envelope{"K"}, plain);
  reply.value(large);
  EXPECT_EQ(out.view(), "earlier reply");
  ASSERT_TRUE(reply.reserve_more());
  const std::size_t capacity = out.capacity();
  reply.value(large);
  EXPECT_FALSE(reply.reserve_more());
  EXPECT_EQ(out.capacity(), capacity);
  EXPECT_TRUE(out.view().starts_with("earlier replyHTTP/1.1 200"));
  EXPECT_EQ(
      nlohmann::json::parse(reply_text(out.view().substr(13)).body)["value"].get<std::string>(),
      large);
}

TEST_F(response, is_a_miss_if_the_entry_is_deleted_while_space_is_reserved) {
  output_buffer out;
  value_response reply(writer_, out, json_envelope{"K"}, plain);
  reply.value(std::string(100'000, 'x'));
  ASSERT_TRUE(reply.reserve_more());
  writer_.copy(out, prepared::not_found, plain);
  EXPECT_TRUE(out.view().starts_with("HTTP/1.1 404"));
}

TEST_F(response, to_a_head_has_the_length_but_not_the_body) { // RFC 9110 §9.3.2
  const reply_text full(get("K", "a\"b"));
  const reply_text head(get("K", "a\"b", head_only));
  EXPECT_EQ(head.head, full.head);
  EXPECT_EQ(head.body, "");
  output_buffer out;
  writer_.copy(out, prepared::not_found, head_only);
  writer_.refuse(out, {fault::unknown_path}, head_only);
  writer_.copy(out, prepared::stored, head_only);
  EXPECT_EQ(out.view().find('{'), std::string_view::npos);
}

TEST_F(response, states_whether_the_connection_persists) { // RFC 9112 §9.3, §9.6
  EXPECT_EQ(get("K", "V").find("Connection"), std::string::npos);
  EXPECT_TRUE(reply_text(get("K", "V", closing)).has("Connection: close"));
  EXPECT_TRUE(reply_text(get("K", "V", staying_1_0)).has("Connection: keep-alive"));
  output_buffer out;
  writer_.copy(out, prepared::stored, closing);
  EXPECT_TRUE(reply_text(out.view()).has("Connection: close"));
}

TEST_F(response, closes_after_a_fault_that_closes_whatever_was_asked) {
  output_buffer out;
  writer_.refuse(out, {fault::bad_host}, plain);
  EXPECT_TRUE(reply_text(out.view()).has("Connection: close"));
  out.clear();
  writer_.refuse(out, {fault::invalid_json}, plain);
  EXPECT_FALSE(reply_text(out.view()).has("Connection: close"));
}

TEST_F(response, to_a_refusal_has_its_place_and_its_fields) {
  output_buffer out;
  writer_.refuse(out, {fault::invalid_json, 17}, plain);
  EXPECT_EQ(reply_text(out.view()).body,
            R"({"status":"ERROR","message":"The body is not valid JSON (near byte 17)."})");
  out.clear();
  writer_.refuse(out, {fault::method_not_allowed}, plain, "Allow: GET, HEAD\r\n");
  EXPECT_TRUE(reply_text(out.view()).has("Allow: GET, HEAD"));
  EXPECT_TRUE(out.view().starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  out.clear();
  writer_.refuse(out, {fault::no_room}, plain);
  EXPECT_TRUE(reply_text(out.view()).has("Retry-After: 1"));
}

TEST_F(response, to_every_fault_is_json_with_the_message_of_the_table) {
  for (std::size_t i = 1; i < fault_count; ++i) {
    output_buffer out;
    writer_.refuse(out, {static_cast<fault>(i)}, plain);
    const reply_text reply(out.view());
    EXPECT_TRUE(reply.has("Content-Type: application/json"));
    EXPECT_TRUE(reply.has("Content-Length: " + std::to_string(reply.body.size())));
    const auto json = nlohmann::json::parse(reply.body);
    EXPECT_EQ(json["status"], "ERROR");
    EXPECT_EQ(json["message"].get<std::string>(), faults_[static_cast<fault>(i)].message);
    EXPECT_EQ(json.size(), 2U);
  }
}

TEST_F(response, forbids_caches_to_store_it_if_a_later_one_may_contradict_it) { // RFC 9111 §5.2.2.5
  const auto stays_unstored = [](std::string_view text) {
    return reply_text(text).has("Cache-Control: no-store");
  };
  for (const reply_options how : {plain, closing, staying_1_0, head_only}) {
    EXPECT_TRUE(stays_unstored(get("K", "V", how)));
    output_buffer out;
    writer_.copy(out, prepared::not_found, how);
    EXPECT_TRUE(stays_unstored(out.view()));
    out.clear();
    writer_.reply(out, 200, "text/plain", "a 1\n", how);
    EXPECT_TRUE(stays_unstored(out.view()));
    for (std::size_t i = 1; i < fault_count; ++i) {
      out.clear();
      writer_.refuse(out, {static_cast<fault>(i)}, how, "Allow: GET\r\n");
      EXPECT_TRUE(stays_unstored(out.view())) << out.view();
    }
  }
}

TEST_F(response, to_an_unchanged_document_is_a_head_only) { // RFC 9110 §15.4.5
  output_buffer out;
  writer_.head_only(out, 304, plain, "ETag: \"a\"\r\n");
  EXPECT_EQ(out.view(), "HTTP/1.1 304 Not Modified\r\n"
                        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                        "ETag: \"a\"\r\n"
                        "\r\n");
}

TEST_F(response, may_have_any_type_and_body) {
  output_buffer out;
  writer_.reply(out, 200, "text/plain; version=0.0.4", "a 1\n", plain);
  const reply_text reply(out.view());
  EXPECT_TRUE(reply.has("Content-Type: text/plain; version=0.0.4"));
  EXPECT_EQ(reply.body, "a 1\n");
  out.clear();
  writer_.reply(out, 200, "", "", plain, "Allow: GET\r\n");
  EXPECT_TRUE(reply_text(out.view()).has("Content-Length: 0"));
  EXPECT_EQ(out.view().find("Content-Type"), std::string_view::npos);
}

TEST_F(response, carries_a_new_date_after_a_refresh) {
  writer_.refresh(some_sunday + 1);
  EXPECT_TRUE(reply_text(get("K", "V")).has("Date: Sun, 06 Nov 1994 08:49:38 GMT"));
  writer_.refresh(4102444799);
  output_buffer out;
  writer_.copy(out, prepared::stored, plain);
  EXPECT_TRUE(reply_text(out.view()).has("Date: Thu, 31 Dec 2099 23:59:59 GMT"));
}

TEST_F(response, has_one_date_and_the_same_length_at_any_time) {
  const auto stored_at = [this](std::time_t now_s) {
    writer_.refresh(now_s);
    output_buffer out;
    writer_.copy(out, prepared::stored, plain);
    return std::string{out.view()};
  };
  const std::string before = stored_at(some_sunday);
  for (const std::time_t now_s : {std::time_t{-1}, std::time_t{0}, std::time_t{253402300800}}) {
    const std::string then = stored_at(now_s); // before 1970, its start, the year 10000
    EXPECT_EQ(then.size(), before.size());
    EXPECT_EQ(then.find("Date: "), then.rfind("Date: "));
    EXPECT_NE(then, before);
  }
  EXPECT_EQ(stored_at(some_sunday), before);
}

TEST(reply_options, follow_from_the_request_and_the_server) {
  request asked;
  asked.verb = method::get;
  EXPECT_EQ(options_for(asked).connection, persistence::implied);
  EXPECT_EQ(options_for(asked).body, body_part::send);
  EXPECT_EQ(options_for(asked, after_reply::close).connection, persistence::close);
  asked.keep_alive = false;
  EXPECT_EQ(options_for(asked).connection, persistence::close);
  asked.keep_alive = true;
  asked.version = http_version::http_1_0;
  EXPECT_EQ(options_for(asked).connection, persistence::keep_alive);
  asked.verb = method::head;
  EXPECT_EQ(options_for(asked).body, body_part::omit);
}

} // namespace
} // namespace kvcache::http
