#include "http/request_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::http {
namespace {

const http_limits limits;

fault check_bytewise(std::string_view text) {
  request_line line;
  line.begin_at(0);
  fault why = fault::none;
  for (std::size_t bytes = 0; bytes <= text.size() && why == fault::none; ++bytes)
    why = line.check(text.substr(0, bytes), limits);
  return why;
}

TEST(request_line, is_accepted_at_every_length_on_its_way_to_being_whole) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n", "M-SEARCH /?a HTTP/1.0\r\n", "GET http://a:80/b HTTP/1.1\r\n",
        "GET HTTPS://[::1] HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n", "CONNECT a:1 HTTP/1.1\r\n",
        "GET / HTTP/1.9\r\n"})
    EXPECT_EQ(check_bytewise(text), fault::none) << text;
}

TEST(request_line, is_refused_at_the_first_byte_that_cannot_be_valid) {
  EXPECT_EQ(check_bytewise(" "), fault::bad_method);
  EXPECT_EQ(check_bytewise("G(T"), fault::bad_method);
  EXPECT_EQ(check_bytewise("GET a"), fault::bad_target);
  EXPECT_EQ(check_bytewise("GET  "), fault::bad_target);
  EXPECT_EQ(check_bytewise("GET /\x7f"), fault::bad_target);
  EXPECT_EQ(check_bytewise("GET ftp"), fault::bad_target);
  EXPECT_EQ(check_bytewise("GET http://a@b/"), fault::bad_target);
  EXPECT_EQ(check_bytewise("GET * "), fault::asterisk_not_for_options);
  EXPECT_EQ(check_bytewise("GET / X"), fault::bad_request_line);
  EXPECT_EQ(check_bytewise("GET / HTTP/1.#"), fault::bad_request_line);
  EXPECT_EQ(check_bytewise("GET / HTTP/1.1\n"), fault::bad_request_line);
  EXPECT_EQ(check_bytewise("GET / HTTP/2"), fault::version_not_supported);
  EXPECT_EQ(check_bytewise("PRI * HTTP/2"), fault::version_not_supported);
  EXPECT_EQ(check_bytewise("GET /" + std::string(limits.target_bytes, 'a')),
            fault::target_too_long);
}

TEST(request_line, reports_its_method_and_version_as_soon_as_they_have_arrived) {
  request_line line;
  line.begin_at(0);
  EXPECT_EQ(line.check("PUT", limits), fault::none);
  EXPECT_EQ(line.verb, method::other);
  EXPECT_EQ(line.check("PUT /a HTTP/1.0\r\n", limits), fault::none);
  EXPECT_EQ(line.verb, method::put);
  EXPECT_EQ(line.version, http_version::http_1_0);
  EXPECT_EQ(line.minor_version_at(), 14U);
}

TEST(request_line, has_an_authority_and_a_path_of_its_own_in_absolute_form) {
  const std::string_view text = "GET http://a:80/b?c HTTP/1.1\r\n";
  request_line line;
  EXPECT_EQ(line.accept(text, method::get, text.substr(0, 3), text.substr(4, 15),
                        http_version::http_1_1, limits),
            fault::none);
  EXPECT_EQ(line.form, target_form::absolute);
  EXPECT_EQ(line.authority.in(text), "a:80");
  EXPECT_EQ(line.path_and_query.in(text), "/b?c");
}

} // namespace
} // namespace kvcache::http
