// Runs the request parser over a text in the two extreme ways, whole and byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "http/parsed.hpp"

namespace kvcache::http::testing {

inline parsed parse_at_once(std::string_view text, const http_limits& limits = {}) {
  exact_copy input(text);
  request_parser parser(limits);
  const parse_result result = parser.parse(input.bytes());
  return describe(result, parser);
}

inline parsed parse_bytewise(std::string_view text, const http_limits& limits = {}) {
  request_parser parser(limits);
  parse_result result;
  std::string received; // as the parser left it
  for (const char byte : text) {
    received.push_back(byte);
    exact_copy input(received);
    result = parser.parse(input.bytes());
    if (result.status != parse_status::need_more) return describe(result, parser);
    received = input.view();
  }
  return describe(result, parser);
}

// Both ways, which must agree. (The views must not outlive the input: hence the copies above.)
inline parsed parse(std::string_view text, const http_limits& limits = {}) {
  parsed whole = parse_at_once(text, limits);
  const parsed bytewise = parse_bytewise(text, limits);
  EXPECT_EQ(whole.status, bytewise.status) << "split at every byte: " << text.substr(0, 200);
  EXPECT_EQ(name_of(whole.why), name_of(bytewise.why)) << text.substr(0, 200);
  EXPECT_TRUE(whole == bytewise) << "split at every byte: " << text.substr(0, 200);
  return whole;
}

inline std::string_view why_refused(std::string_view text, const http_limits& limits = {}) {
  const parsed got = parse(text, limits);
  return got.status == parse_status::refused    ? name_of(got.why)
         : got.status == parse_status::complete ? std::string_view("(accepted)")
                                                : std::string_view("(needs more)");
}

// A GET with these field lines (each with its CRLF) behind a good Host.
inline std::string get_with(std::string_view field_lines) {
  return "GET /get?key=a HTTP/1.1\r\nHost: cache\r\n" + std::string(field_lines) + "\r\n";
}

// A POST with these framing fields and what follows the head.
inline std::string post_with(std::string_view field_lines, std::string_view body) {
  return "POST /put HTTP/1.1\r\nHost: cache\r\n" + std::string(field_lines) + "\r\n" +
         std::string(body);
}

} // namespace kvcache::http::testing
