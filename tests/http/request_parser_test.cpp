#include "http/request_parser.hpp"

#include "http/parsing.hpp"

#include <algorithm>
#include <cctype>

#include <random>
#include <span>
#include <vector>

namespace kvcache::http::testing {
namespace {

const http_limits defaults;

constexpr std::string_view simple_get = "GET /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n";

// ---- what is accepted ----------------------------------------------------------------

TEST(request_parser, reads_an_ordinary_get) {
  const parsed got =
      parse("GET /get?key=a HTTP/1.1\r\nHost: 127.0.0.1:7171\r\nUser-Agent: x\r\n\r\n");
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.verb, method::get);
  EXPECT_EQ(got.method_text, "GET");
  EXPECT_EQ(got.version, http_version::http_1_1);
  EXPECT_EQ(got.form, target_form::origin);
  EXPECT_EQ(got.target, "/get?key=a");
  EXPECT_EQ(got.path, "/get");
  EXPECT_EQ(got.query, "key=a");
  EXPECT_EQ(got.host, "127.0.0.1:7171");
  EXPECT_EQ(got.framing, body_framing::none);
  EXPECT_EQ(got.body, "");
  EXPECT_TRUE(got.keep_alive);
  EXPECT_FALSE(got.has_origin);
}

TEST(request_parser, names_the_methods_it_knows_and_keeps_the_text_of_others) {
  for (const auto& [text, verb] : std::vector<std::pair<std::string, method>>{
           {"GET", method::get},
           {"HEAD", method::head},
           {"POST", method::post},
           {"OPTIONS", method::options},
           {"PUT", method::put},
           {"DELETE", method::del},
           {"get", method::other}, // RFC 9110 §9.1: methods are case-sensitive
           {"BREW", method::other},
           {"X", method::other}}) {
    const parsed got = parse(text + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(got.status, parse_status::complete) << text;
    EXPECT_EQ(got.verb, verb) << text;
    EXPECT_EQ(got.method_text, text);
  }
}

TEST(request_parser, consumes_exactly_one_request_of_a_pipeline) { // RFC 9112 §9.3.2
  const std::string two = std::string(simple_get) + "GET /get?key=b HTTP/1.1\r\nHost: b\r\n\r\n";
  EXPECT_EQ(parse(two).consumed, simple_get.size());
}

TEST(request_parser, reads_a_thousand_pipelined_requests_one_after_the_other) {
  const http_limits limits;
  request_parser parser(limits);
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "GET /get?key=" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    text += post_with("Content-Length: 4\r\n", std::to_string(1000 + i));
    text += post_with("Transfer-Encoding: chunked\r\n",
                      "4\r\n" + std::to_string(1000 + i) + "\r\n0\r\n\r\n");
  }
  std::span<char> rest = text;
  for (int i = 0; i < 1000; ++i) {
    for (int kind = 0; kind < 3; ++kind) {
      const parse_result result = parser.parse(rest);
      ASSERT_EQ(result.status, parse_status::complete);
      const request& got = parser.current();
      if (kind == 0) {
        EXPECT_EQ(got.target, "/get?key=" + std::to_string(i));
      } else {
        EXPECT_EQ(got.body, std::to_string(1000 + i));
      }
      rest = rest.subspan(result.consumed);
      parser.reset();
    }
  }
  EXPECT_TRUE(rest.empty());
}

TEST(request_parser, skips_a_few_empty_lines_before_a_request) { // RFC 9112 §2.2
  const parsed got = parse("\r\n\r\n" + std::string(simple_get));
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.consumed, simple_get.size() + 4);
  EXPECT_EQ(got.target, "/get?key=a");
}

TEST(request_parser, refuses_endless_empty_lines_and_half_ones) { // RFC 9112 §2.2
  EXPECT_EQ(why_refused("\r\n\r\n\r\n\r\n\r\n" + std::string(simple_get)), "too_many_empty_lines");
  EXPECT_EQ(why_refused("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_line_ending");
  EXPECT_EQ(why_refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_method");
}

TEST(request_parser, trims_spaces_and_tabs_around_a_value) { // RFC 9112 §5.1
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: \t  a:1 \t \r\n\r\n").host, "a:1");
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost:a\r\n\r\n").host, "a");
}

TEST(request_parser, knows_field_names_in_any_case) { // RFC 9110 §5.1
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nhOST: a\r\n\r\n").host, "a");
  EXPECT_EQ(parse(get_with("SEC-fetch-SITE: cross-site\r\n")).sec_fetch_site, "cross-site");
}

TEST(request_parser, returns_the_fields_that_the_router_needs) {
  const parsed got = parse(get_with(
      "Origin: http://evil.example\r\nSec-Fetch-Site: same-site\r\nAuthorization: Bearer abc\r\n"));
  EXPECT_TRUE(got.has_origin);
  EXPECT_EQ(got.origin, "http://evil.example");
  EXPECT_EQ(got.sec_fetch_site, "same-site");
  EXPECT_EQ(got.authorization, "Bearer abc");
}

TEST(request_parser, ignores_upgrade_and_fields_it_does_not_know) { // RFC 9110 §7.8
  const parsed got =
      parse(get_with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     "HTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Bytes: \x80\xff\t!\r\n"));
  EXPECT_EQ(got.status, parse_status::complete);
  EXPECT_TRUE(got.keep_alive);
}

// ---- keeping the connection (RFC 9112 §9.3) ------------------------------------------

TEST(request_parser, keeps_http_1_1_connections_unless_the_client_closes_them) {
  EXPECT_TRUE(parse(get_with("")).keep_alive);
  EXPECT_TRUE(parse(get_with("Connection: keep-alive\r\n")).keep_alive);
  EXPECT_FALSE(parse(get_with("Connection: close\r\n")).keep_alive);
  EXPECT_FALSE(parse(get_with("Connection: x , CLOSE,,\r\n")).keep_alive);
  EXPECT_FALSE(parse(get_with("Connection: x\r\nConnection: close\r\n")).keep_alive);
  EXPECT_TRUE(parse(get_with("Connection: closed\r\n")).keep_alive);
  EXPECT_TRUE(parse(get_with("Proxy-Connection: close\r\n")).keep_alive); // RFC 9112 C.2.2
}

TEST(request_parser, closes_http_1_0_connections_unless_the_client_keeps_them) {
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n").keep_alive);
}

TEST(request_parser, refuses_a_connection_field_that_is_no_list_of_tokens) { // RFC 9110 §7.6.1
  EXPECT_EQ(why_refused(get_with("Connection: a b\r\n")), "bad_field_value");
  EXPECT_EQ(why_refused(get_with("Connection: \"close\"\r\n")), "bad_field_value");
}

// ---- the request line (RFC 9112 §3) --------------------------------------------------

TEST(request_parser, refuses_malformed_request_lines) {
  const auto why = [](std::string line) { return why_refused(line + "\r\nHost: a\r\n\r\n"); };
  EXPECT_EQ(why(" GET / HTTP/1.1"), "bad_method");
  EXPECT_EQ(why("G(T / HTTP/1.1"), "bad_method");
  EXPECT_EQ(why("GET\t/ HTTP/1.1"), "bad_method");
  EXPECT_EQ(why("GET  / HTTP/1.1"), "bad_target");
  EXPECT_EQ(why("GET /"), "bad_target"); // HTTP/0.9
  EXPECT_EQ(why("GET /a\tb HTTP/1.1"), "bad_target");
  EXPECT_EQ(why(std::string("GET /a\0b HTTP/1.1", 17)), "bad_target");
  EXPECT_EQ(why("GET /a\x7f HTTP/1.1"), "bad_target");
  EXPECT_EQ(why("GET / HTTP/1.1 "), "bad_request_line");
  EXPECT_EQ(why("GET /  HTTP/1.1"), "bad_request_line");
  EXPECT_EQ(why("GET /a b HTTP/1.1"), "bad_request_line");
  EXPECT_EQ(why("GET / http/1.1"), "bad_request_line");
  EXPECT_EQ(why("GET / HTTP/1,1"), "bad_request_line");
  EXPECT_EQ(why("GET / HTTP/1.10"), "bad_request_line");
  EXPECT_EQ(why("GET / XTTP/1.1"), "bad_request_line");
}

TEST(request_parser, refuses_bare_carriage_returns_and_line_feeds_in_the_request_line) { // §2.2
  EXPECT_EQ(why_refused("GET / HTTP/1.1\rHost: a\r\n\r\n"), "bad_request_line");
  EXPECT_EQ(why_refused("GET /\n HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_target");
  EXPECT_EQ(why_refused("GET / HTTP/1.1\nHost: a\n\n"), "bad_request_line");
}

TEST(request_parser, refuses_a_bare_line_feed_without_waiting_for_the_end_of_the_head) {
  const std::string text = get_with("A: b\r\nC: d\nE: f\r\n");
  const parsed got = parse_bytewise(text);
  EXPECT_EQ(got.why, fault::bad_line_ending);
}

// Each text as it stands, whole and byte by byte: nothing that comes behind it could make it right.
TEST(request_parser, refuses_a_request_line_that_cannot_become_valid_without_waiting_for_more) {
  struct row {
    std::string text;
    std::string_view why;
  };
  for (const auto& [text, why] : std::vector<row>{
           {"GET / \r\n\r\n", "bad_request_line"}, // the target of HTTP/0.9, and a space
           {"GET / \r\n", "bad_request_line"},
           {"GET / \r", "bad_request_line"},
           {"GET / \n", "bad_request_line"},
           {"GET /\r\n", "bad_target"}, // HTTP/0.9
           {"GET /\r", "bad_target"},
           {"GET /\n", "bad_target"},
           {"GET\r\n", "bad_method"},
           {"GET\r", "bad_method"},
           {"GET \r\n", "bad_target"},
           {"GET  ", "bad_target"},
           {"GET  / HTTP/1.1", "bad_target"},
           {"GET /  ", "bad_request_line"},
           {"GET /a b", "bad_request_line"},
           {"GET / h", "bad_request_line"},
           {"GET / http/1.1", "bad_request_line"},
           {"GET / HTTP/x", "bad_request_line"},
           {"GET / HTTP/1,", "bad_request_line"},
           {"GET / HTTP/1.x", "bad_request_line"},
           {"GET / HTTP/1.1 ", "bad_request_line"},
           {"GET / HTTP/1.1 x", "bad_request_line"},
           {"GET / HTTP/1.11", "bad_request_line"},
           {"GET / HTTP/1.1\n", "bad_request_line"},
           {"GET / HTTP/1.1\rx", "bad_request_line"},
           {"GET / HTTP/0", "version_not_supported"},
           {"GET / HTTP/2", "version_not_supported"},
           {"G(", "bad_method"},
           {"G\xc3", "bad_method"},
           {"GET\t", "bad_method"},
           {" ", "bad_method"},
           {"{\"key\"", "bad_method"},
           {"GET /a\t", "bad_target"},
           {"GET /a\x7f", "bad_target"},
           {std::string("GET /\0", 6), "bad_target"},
           {"GET foo", "bad_target"},
           {"GET ftp://a/", "bad_target"},
           {"GET http:/a", "bad_target"},
           {"GET http:// ", "bad_target"},
           {"GET http:///", "bad_target"},
           {"GET http://a b", "bad_request_line"},
           {"GET https://a@b?", "bad_target"},
           {"GET *x", "bad_target"},
           {"GET * ", "asterisk_not_for_options"},
           {"CONNECT a@b ", "bad_target"},
           {"GET /" + std::string(defaults.target_bytes, 'a'), "target_too_long"}})
    EXPECT_EQ(why_refused(text), why) << text.substr(0, 80);
}

// A line is refused if, and only if, no continuation makes a whole request of it that Beast takes
// in one piece.
TEST(request_parser, waits_for_a_request_line_only_while_it_can_become_valid) {
  const std::vector<std::string> continuations = [] {
    std::vector<std::string> found;
    for (const std::string request :
         {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a HTTP/1.0\r\nHost: a\r\n\r\n",
          "GET https://a HTTP/1.0\r\nHost: a\r\n\r\n"})
      for (std::size_t at = 0; at < request.size(); ++at) found.push_back(request.substr(at));
    return found;
  }();
  const auto can_become_right = [&](const std::string& line) {
    return std::ranges::any_of(continuations, [&](const std::string& more) {
      return parse_at_once(line + more).status == parse_status::complete;
    });
  };
  const std::vector<std::string_view> pieces{"G", "GET", " ",  "/",   "a",       "HTTP/",
                                             "1", ".",   "\r", "\n",  "h",       "http://",
                                             "0", "\t",  "(",  "HTT", "1.1\r\n", "P"};
  std::mt19937 random{1};
  std::size_t waited_for = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string line = i % 2 == 0 ? "" : "GET /";
    for (auto count = 1 + random() % 6; count > 0; --count)
      line += pieces[random() % pieces.size()];
    if (line.front() == '\r' || line.find("\r\n") != std::string::npos) continue; // no line
    const std::string_view why = why_refused(line);
    EXPECT_EQ(why == "(needs more)", can_become_right(line)) << line << ": " << why;
    if (why == "(needs more)") ++waited_for;
  }
  EXPECT_GT(waited_for, 1000U);
}

TEST(request_parser, refuses_a_field_line_at_its_end_not_at_that_of_the_head) {
  for (const auto& [line, why] : std::vector<std::pair<std::string, std::string_view>>{
           {"Name", "bad_field_line"},
           {": value", "bad_field_line"},
           {"Name : value", "bad_field_line"},
           {"Na me: value", "bad_field_line"},
           {"N(me: value", "bad_field_line"},
           {"Na\x7Fme: value", "bad_field_line"},
           {"N\xC3\xA4me: value", "bad_field_line"},
           {"Name: va\x01lue", "bad_field_value"},
           {"Name: value\x7F", "bad_field_value"},
           {std::string("Name: va\0lue", 12), "bad_field_value"},
           {"Name: va\rlue", "bad_line_ending"},
           {" folded", "folded_field"},
           {"\tfolded", "folded_field"},
           {"Content-Length:", "bad_content_length"},
           {"content-length: +1", "bad_content_length"},
           {"Content-Length: 1, 1", "bad_content_length"},
           {"Content-Length: 0x1", "bad_content_length"}}) {
    const std::string head = "POST /put HTTP/1.1\r\nHost: a\r\n" + line;
    EXPECT_EQ(parse_bytewise(head).status, parse_status::need_more) << line;
    EXPECT_EQ(why_refused(head + "\r\n"), why) << line;
    EXPECT_EQ(why_refused(head + "\r\n\r\n"), why) << line;
  }
}

// No line is refused in pieces that is right in one.
TEST(request_parser, refuses_no_field_line_in_pieces_that_it_accepts_as_a_whole) {
  const std::vector<std::string_view> pieces{
      "Na",           "me",  ":",  " ", "\t", "v", "\r",      "\x01",
      "\x80",         "1",   "\"", ",", "(",  "!", "Host: b", "Content-Length:",
      "Connection: ", "\x7F"};
  std::mt19937 random{1};
  std::size_t taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string head = "GET / HTTP/1.0\r\n";
    for (auto lines = 1 + random() % 3; lines > 0; --lines) {
      for (auto count = 1 + random() % 5; count > 0; --count)
        head += pieces[random() % pieces.size()];
      head += "\r\n";
    }
    const bool right = parse_at_once(head + "\r\n").status == parse_status::complete;
    const parse_status early = parse_at_once(head).status;
    if (!right) continue;
    EXPECT_EQ(early, parse_status::need_more) << head;
    ++taken;
  }
  EXPECT_GT(taken, 500U);
}

TEST(request_parser, refuses_versions_that_it_does_not_support) { // RFC 9110 §15.6.6
  const auto why = [](std::string version) {
    return why_refused("GET / " + version + "\r\nHost: a\r\n\r\n");
  };
  EXPECT_EQ(why("HTTP/2.0"), "version_not_supported");
  EXPECT_EQ(why("HTTP/0.9"), "version_not_supported");
  EXPECT_EQ(why("HTTP/9.9"), "version_not_supported");
  EXPECT_EQ(why_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "version_not_supported");
}

TEST(request_parser, reads_a_later_http_1_as_http_1_1) { // RFC 9110 §2.5
  const parsed expected = parse("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_EQ(expected.status, parse_status::complete);
  for (char minor = '2'; minor <= '9'; ++minor) {
    const parsed got = parse(std::string("POST /put HTTP/1.") + minor +
                             "\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    EXPECT_TRUE(got == expected) << minor;
  }
  const parsed behind_empty_lines = parse("\r\n\r\nGET http://b/c?d HTTP/1.2\r\nHost: a\r\n\r\n");
  EXPECT_EQ(behind_empty_lines.status, parse_status::complete);
  EXPECT_EQ(behind_empty_lines.host, "b");
  EXPECT_EQ(behind_empty_lines.query, "d");
}

TEST(request_parser, is_as_strict_with_a_later_http_1) {
  EXPECT_EQ(why_refused("GET / HTTP/1.2\r\n\r\n"), "missing_host");
  EXPECT_EQ(why_refused("GET / HTTP/1.2\r\nHost : a\r\n\r\n"), "bad_field_line");
  EXPECT_EQ(why_refused("GET x HTTP/1.2\r\nHost: a\r\n\r\n"), "bad_target");
  EXPECT_EQ(why_refused("GET * HTTP/1.2\r\nHost: a\r\n\r\n"), "asterisk_not_for_options");
  EXPECT_EQ(why_refused("GET / HTTP/1.2\rHost: a\r\n\r\n"), "bad_request_line");
  EXPECT_EQ(why_refused("GET / HTTP/1.20\r\nHost: a\r\n\r\n"), "bad_request_line");
  EXPECT_EQ(why_refused("GET / HTTP/1.2 \r\nHost: a\r\n\r\n"), "bad_request_line");
  EXPECT_EQ(why_refused("GET /" + std::string(9000, 'a') + " HTTP/1.2\r\nHost: a\r\n\r\n"),
            "target_too_long");
  const std::string endless = "GET / HTTP/1.2\r\nHost: a\r\nX: " + std::string(17000, 'a');
  EXPECT_EQ(parse_at_once(endless).why, fault::head_too_large);
  EXPECT_EQ(parse_bytewise(endless).why, fault::head_too_large);
}

TEST(request_parser, reports_a_coding_of_the_body_other_than_identity) { // RFC 9110 §8.4
  const auto is_coded = [](std::string_view fields) {
    const parsed got = parse(get_with(fields));
    EXPECT_EQ(got.status, parse_status::complete) << fields;
    return got.is_coded;
  };
  for (const char* fields : {"Content-Encoding: gzip\r\n", "content-encoding: x-gzip\r\n",
                             "Content-Encoding: identity, br\r\n",
                             "Content-Encoding: gzip\r\nContent-Encoding: identity\r\n",
                             "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n",
                             "Content-Encoding: identity;q=1\r\n", "Content-Encoding: , zstd\r\n"})
    EXPECT_TRUE(is_coded(fields)) << fields;
  for (const char* fields :
       {"", "Content-Encoding: identity\r\n", "Content-Encoding: IDENTITY , identity\r\n",
        "Content-Encoding:\r\n", "Content-Encoding: , ,\r\n", "Accept-Encoding: gzip\r\n",
        "Content-Encodin: gzip\r\n"})
    EXPECT_FALSE(is_coded(fields)) << fields;
}

TEST(request_parser, returns_the_first_list_of_entity_tags) { // RFC 9110 §13.1.2
  EXPECT_EQ(parse(get_with("If-None-Match: \"a\", W/\"b\"\r\n")).if_none_match, "\"a\", W/\"b\"");
  EXPECT_EQ(parse(get_with("If-None-Match: \"a\"\r\nIf-None-Match: *\r\n")).if_none_match, "\"a\"");
}

TEST(request_parser, refuses_a_tls_hello_at_its_first_byte) {
  EXPECT_EQ(why_refused("\x16\x03\x01\x02"), "bad_method");
}

// ---- the target's form (RFC 9112 §3.2) -----------------------------------------------

TEST(request_parser, uses_the_host_of_an_absolute_target_instead_of_the_field) { // §3.2.2
  const parsed got = parse("GET HTTP://real:81/get?key=a HTTP/1.1\r\nHost: other\r\n\r\n");
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.form, target_form::absolute);
  EXPECT_EQ(got.host, "real:81");
  EXPECT_EQ(got.path, "/get");
  EXPECT_EQ(got.query, "key=a");
  EXPECT_EQ(got.target, "HTTP://real:81/get?key=a");
  const parsed without_path = parse("GET https://[::1]:7171?key=a HTTP/1.1\r\nHost: b\r\n\r\n");
  EXPECT_EQ(without_path.path, "/");
  EXPECT_EQ(without_path.query, "key=a");
  EXPECT_EQ(parse("GET http://a HTTP/1.1\r\nHost: b\r\n\r\n").path, "/");
}

TEST(request_parser, requires_a_valid_host_field_beside_an_absolute_target) {
  EXPECT_EQ(why_refused("GET http://a/ HTTP/1.1\r\n\r\n"), "missing_host");
  EXPECT_EQ(why_refused("GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n"), "bad_host");
}

TEST(request_parser, refuses_targets_of_no_known_form) {
  const auto why = [](std::string target) {
    return why_refused("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
  };
  EXPECT_EQ(why("get?key=a"), "bad_target");
  EXPECT_EQ(why("?key=a"), "bad_target");
  EXPECT_EQ(why("cache:80"), "bad_target");
  EXPECT_EQ(why("ftp://a/"), "bad_target");
  EXPECT_EQ(why("http://a:65536/"), "bad_target");
  EXPECT_EQ(why("http:///get"), "bad_target");
  EXPECT_EQ(why("http://user@a/"), "bad_target"); // RFC 9110 §4.2.4
  EXPECT_EQ(why("http://a:b/"), "bad_target");
  EXPECT_EQ(why("http://a:123456/"), "bad_target");
}

TEST(request_parser, accepts_the_asterisk_with_options_only) { // §3.2.4
  const parsed got = parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.form, target_form::asterisk);
  EXPECT_EQ(why_refused("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), "asterisk_not_for_options");
}

TEST(request_parser, accepts_an_authority_with_connect_only) { // §3.2.3
  const parsed got = parse("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.form, target_form::authority);
  EXPECT_EQ(why_refused("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"),
            "(accepted)"); // refused by route
  EXPECT_EQ(why_refused("CONNECT a@b:80 HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_target");
}

// ---- fields (RFC 9112 §5, RFC 9110 §5) -----------------------------------------------

TEST(request_parser, refuses_malformed_field_lines) {
  EXPECT_EQ(why_refused(get_with("A : b\r\n")), "bad_field_line"); // RFC 9112 §5.1
  EXPECT_EQ(why_refused(get_with("A\t: b\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(get_with(": b\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(get_with("A b\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(get_with("A(: b\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(get_with("\xc3\xa4: b\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(get_with("A\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "bad_field_line"); // RFC 9112 §2.2
}

TEST(request_parser, refuses_control_characters_in_values) { // RFC 9110 §5.5
  EXPECT_EQ(why_refused(get_with(std::string("A: b\0c\r\n", 8))), "bad_field_value");
  EXPECT_EQ(why_refused(get_with("A: b\x01\r\n")), "bad_field_value");
  EXPECT_EQ(why_refused(get_with("A: b\x7f\r\n")), "bad_field_value");
  EXPECT_EQ(parse_at_once(get_with("A: b\nC: d\r\n")).why, fault::bad_field_value); // a bare LF
  EXPECT_EQ(why_refused(get_with("A: b\rC: d\r\n")), "bad_line_ending");            // a bare CR
  EXPECT_EQ(why_refused(get_with("A: b\r\r\n")), "bad_line_ending");
}

TEST(request_parser, refuses_folded_fields_wherever_the_fold_is) { // RFC 9112 §5.2
  EXPECT_EQ(why_refused(get_with("A: b\r\n c\r\n")), "folded_field");
  EXPECT_EQ(why_refused(get_with("A: b\r\n\tc\r\n")), "folded_field");
  EXPECT_EQ(why_refused(get_with("A: b\r\n \r\n")), "folded_field");
  EXPECT_EQ(why_refused(get_with("A:\r\n b\r\n")), "folded_field");
  EXPECT_EQ(why_refused(get_with("A:\r\n \r\nB: c\r\n")), "folded_field");
  EXPECT_EQ(why_refused(get_with("A: " + std::string(5000, 'x') + "\r\n y\r\n")), "folded_field");
  EXPECT_EQ(why_refused("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), "folded_field");
  EXPECT_EQ(why_refused("GET / HTTP/1.1\r\nHost:\r\n b\r\n\r\n"), "folded_field");
}

TEST(request_parser, refuses_a_repetition_of_fields_that_come_once) { // RFC 9110 §5.3
  EXPECT_EQ(why_refused(get_with("Origin: a\r\nOrigin: b\r\n")), "repeated_field");
  EXPECT_EQ(why_refused(get_with("Authorization: a\r\nAuthorization: b\r\n")), "repeated_field");
  EXPECT_EQ(why_refused(get_with("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n")),
            "repeated_field");
  EXPECT_EQ(why_refused(get_with("Accept: a\r\nAccept: b\r\n")), "(accepted)");
}

// ---- Host (RFC 9112 §3.2, RFC 9110 §7.2) ---------------------------------------------

TEST(request_parser, requires_exactly_one_host) {
  EXPECT_EQ(why_refused("GET / HTTP/1.1\r\n\r\n"), "missing_host");
  EXPECT_EQ(why_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), "repeated_host");
  EXPECT_EQ(why_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), "repeated_host");
  EXPECT_EQ(why_refused("GET / HTTP/1.0\r\n\r\n"), "(accepted)");
}

TEST(request_parser, accepts_every_spelling_of_a_host) {
  for (const std::string host : {"a",
                                 "localhost:7171",
                                 "127.0.0.1",
                                 "[::1]",
                                 "[::1]:80",
                                 "a_b-c.d~e",
                                 "a%41",
                                 "a:",
                                 "a:0",
                                 "a:65535",
                                 "[::ffff:127.0.0.1]:1",
                                 "XN--BCHER-KVA.EXAMPLE",
                                 "a:000080",
                                 "a:0000000000000000000000000000000065535",
                                 "[FE80::1:2:3:4:5:6]",
                                 "[::]:",
                                 "[1:2:3:4:5:6:7:8]",
                                 "[::ffff:255.255.255.255]",
                                 "a-host-of-31-bytes-or.so.example",
                                 "%41",
                                 "abcdefg%41",
                                 "abcdefgh%41.example",
                                 "a%41%42:80"}) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").host, host);
  }
}

TEST(request_parser, refuses_malformed_hosts) {
  for (const std::string host : {"",
                                 ":80",
                                 "a b",
                                 "a/b",
                                 "http://a",
                                 "user@a",
                                 "a:b",
                                 "a:80:80",
                                 "a:123456",
                                 "[::1",
                                 "[]",
                                 "[::1]x",
                                 "[::g]",
                                 "a%4",
                                 "a%zz",
                                 "a?b",
                                 "a#b",
                                 "a\\b",
                                 "\xc3\xa4",
                                 "a:80 ,b",
                                 "[",
                                 "]",
                                 "a:65536",
                                 "[::1]:99999",
                                 "[....]",
                                 "[:::::::]",
                                 "[1.2.3.4]",
                                 "[:]",
                                 "[:::]",
                                 "[1::2::3]",
                                 "[1:2:3:4:5:6:7]",
                                 "[1:2:3:4:5:6:7:8:9]",
                                 "[12345::]",
                                 "[::1.2.3]",
                                 "[::256.1.1.1]",
                                 "[fe80::1%25eth0]",
                                 "[fe80::1%eth0]",
                                 "[v1.a]",
                                 "[ ::1]",
                                 "[[::1]]",
                                 "[::1]]",
                                 "[:1]",
                                 "[1:]",
                                 "[0000:0000:0000:0000:0000:ffff:255.255.255.2555]",
                                 "[::00000000000000000000000000001]",
                                 "a:0000065536",
                                 "a:00000x",
                                 "abcdefgh/",
                                 "abcdefghi/klmnopq",
                                 "%4",
                                 "abcdefgh%4"}) {
    EXPECT_EQ(why_refused("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), "bad_host") << host;
    EXPECT_EQ(why_refused("GET / HTTP/1.0\r\nHost: " + host + "\r\n\r\n"), "bad_host") << host;
  }
}

// Each byte at each place of a host of two words and more, which are looked at together.
TEST(request_parser, classifies_each_byte_of_a_host_at_every_place) {
  const std::string_view marks = "-._~!$&'()*+,;=";
  for (std::size_t at = 1; at < 20; ++at) {
    for (int byte = 0x21; byte < 0x100; ++byte) {
      const char c = static_cast<char>(byte);
      if (c == '%' || c == ':') continue; // they depend on what follows
      std::string host(20, 'h');
      host[at] = c;
      const bool good =
          byte < 0x80 && (std::isalnum(byte) != 0 || marks.find(c) != std::string_view::npos);
      const std::string text = "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
      const fault why = byte == 0x7F ? fault::bad_field_value : fault::bad_host;
      ASSERT_EQ(parse_at_once(text).why, good ? fault::none : why) << byte << " at " << at;
    }
  }
}

// ---- limits --------------------------------------------------------------------------

TEST(request_parser, enforces_the_limit_of_the_target) { // RFC 9110 §15.5.15
  const http_limits limits;
  const auto with_target = [&](std::size_t bytes) {
    return "GET /" + std::string(bytes - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(parse_at_once(with_target(limits.target_bytes)).status, parse_status::complete);
  EXPECT_EQ(parse_at_once(with_target(limits.target_bytes + 1)).why, fault::target_too_long);
  EXPECT_EQ(parse_bytewise(with_target(limits.target_bytes + 1)).why, fault::target_too_long);
  EXPECT_EQ(parse_at_once("GET /" + std::string(limits.head_bytes, 'a')).why,
            fault::target_too_long);
}

TEST(request_parser, reports_a_head_that_is_too_large_as_such_and_not_as_its_target) {
  http_limits limits;
  limits.target_bytes = limits.head_bytes + 4000;
  for (const auto way : {parse_at_once, parse_bytewise}) {
    EXPECT_EQ(
        way("GET /" + std::string(limits.head_bytes + 1000, 'a') + " HTTP/1.1\r\n", limits).why,
        fault::head_too_large);
    EXPECT_EQ(way("GET /" + std::string(limits.head_bytes, 'a'), limits).why,
              fault::head_too_large);
  }
}

TEST(request_parser, refuses_an_endless_method) {
  EXPECT_EQ(parse_at_once(std::string(http_limits{}.head_bytes, 'A')).why, fault::bad_method);
}

TEST(request_parser, enforces_the_limit_of_the_head_in_bytes) { // RFC 6585 §5
  const http_limits limits;
  const std::string_view frame = "GET / HTTP/1.1\r\nHost: a\r\nB: \r\n\r\n";
  const auto with_head = [&](std::size_t bytes) {
    return "GET / HTTP/1.1\r\nHost: a\r\nB: " + std::string(bytes - frame.size(), 'x') + "\r\n\r\n";
  };
  for (const auto way : {parse_at_once, parse_bytewise}) {
    EXPECT_EQ(way(with_head(limits.head_bytes), limits).status, parse_status::complete);
    EXPECT_EQ(way(with_head(limits.head_bytes + 1), limits).why, fault::head_too_large);
    EXPECT_EQ(way("\r\n" + with_head(limits.head_bytes), limits).status, parse_status::complete);
  }
  // Also where the input holds a whole next request behind it.
  EXPECT_EQ(parse_at_once(with_head(limits.head_bytes + 1) + std::string(simple_get)).why,
            fault::head_too_large);
}

TEST(request_parser, enforces_the_limit_of_the_head_in_fields) { // RFC 6585 §5
  const http_limits limits;
  const auto with_fields = [&](std::size_t count) {
    std::string lines;
    for (std::size_t i = 1; i < count; ++i) lines += "A: b\r\n"; // Host is one of them
    return get_with(lines);
  };
  EXPECT_EQ(why_refused(with_fields(limits.head_fields)), "(accepted)");
  EXPECT_EQ(why_refused(with_fields(limits.head_fields + 1)), "too_many_fields");
}

// ---- asking for more -----------------------------------------------------------------

TEST(request_parser, reports_the_phase_it_is_in) {
  std::string text = post_with("Content-Length: 3\r\n", "abc");
  const std::size_t head = text.size() - 3;
  request_parser parser(defaults);
  const auto phase_after = [&](std::string input) {
    EXPECT_EQ(parser.parse(input).status, parse_status::need_more);
    return parser.phase();
  };
  EXPECT_EQ(parser.phase(), parse_phase::idle);
  EXPECT_EQ(phase_after(""), parse_phase::idle);
  parser.reset();
  EXPECT_EQ(phase_after("\r\n"), parse_phase::idle);
  EXPECT_EQ(phase_after("\r\n\r"), parse_phase::idle);
  parser.reset();
  EXPECT_EQ(phase_after(text.substr(0, 1)), parse_phase::head);
  EXPECT_EQ(phase_after(text.substr(0, 30)), parse_phase::head);
  EXPECT_EQ(phase_after(text.substr(0, head)), parse_phase::body);
  EXPECT_EQ(phase_after(text.substr(0, head + 2)), parse_phase::body);
  EXPECT_EQ(parser.parse(text).status, parse_status::complete);
  parser.reset();
  EXPECT_EQ(parser.phase(), parse_phase::idle);
}

TEST(request_parser, continues_when_the_buffer_has_moved) {
  const std::string text = post_with("Content-Length: 3\r\nOrigin: o\r\n", "abc");
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    request_parser parser(defaults);
    {
      exact_copy first(std::string_view(text).substr(0, cut));
      ASSERT_EQ(parser.parse(first.bytes()).status, parse_status::need_more) << cut;
    }
    exact_copy second(text);
    ASSERT_EQ(parser.parse(second.bytes()).status, parse_status::complete) << cut;
    EXPECT_EQ(parser.current().body, "abc");
    EXPECT_EQ(parser.current()[known_field::origin], "o");
    EXPECT_EQ(parser.current().host, "cache");
  }
}

TEST(request_parser, reports_method_and_version_of_a_refused_request_if_it_has_read_them) {
  const parsed head = parse("HEAD / HTTP/1.0\r\nA : b\r\n\r\n");
  EXPECT_EQ(head.status, parse_status::refused);
  EXPECT_EQ(head.verb, method::head);
  EXPECT_EQ(head.version, http_version::http_1_0);
  EXPECT_EQ(parse("HEAD /\t").verb, method::head);
  EXPECT_EQ(parse("HEAD\t/").verb, method::other);
}

TEST(request_parser, reports_nothing_of_the_previous_request_when_the_next_one_has_begun) {
  for (const char* next : {"", "\r\n", "G", "POST", "POST /put HTTP/1.1\r\nHost: a\r\n",
                           "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"}) {
    request_parser parser(defaults);
    for (int times = 0; times < 2; ++times) { // the second time its head is remembered
      std::string before = "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
      ASSERT_EQ(parser.parse(before).status, parse_status::complete);
      parser.reset();
    }
    std::string input = next;
    ASSERT_EQ(parser.parse(input).status, parse_status::need_more);
    EXPECT_NE(parser.unfinished().verb, method::head) << next;
    EXPECT_TRUE(parser.unfinished().keep_alive) << next;
  }
}

TEST(request_parser, knows_the_method_of_a_request_line_that_has_not_ended) {
  request_parser parser(defaults);
  std::string input = "HEAD /healthz HT";
  ASSERT_EQ(parser.parse(input).status, parse_status::need_more);
  EXPECT_EQ(parser.unfinished().verb, method::head);
}

} // namespace
} // namespace kvcache::http::testing
