#include "http/negotiation.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::http {
namespace {

std::string head_with(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

bool html_by(const std::string& accept) {
  return prefers_html(head_with("Accept: " + accept + "\r\n"));
}

bool gzip_by(const std::string& accept) {
  return prefers_gzip(head_with("Accept-Encoding: " + accept + "\r\n"));
}

TEST(negotiation, gives_html_to_clients_that_rate_it_higher_than_json) {
  for (const char* accept :
       {"text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "TEXT/HTML",
        "text/*", "text/html;charset=utf-8, */*;q=0.1", "*/*;q=0.5, text/html ; q=0.501",
        "application/json;q=0, */*", "application/json;q=0.9, text/html;Q=1.000",
        "text/html;level=1;q=0.4"})
    EXPECT_TRUE(html_by(accept)) << accept;
}

TEST(negotiation, gives_json_to_all_others) {
  for (const char* accept :
       {"*/*", "", "application/json", "text/html, application/json", "text/html;q=0.5, */*",
        "text/plain", "application/*", "text/html;q=0", "*/*, text/html;q=0.9", "image/*", "text",
        ",,,", "text/html;q=0.5, text/*;q=1, application/json;q=0.7"})
    EXPECT_FALSE(html_by(accept)) << accept;
  EXPECT_FALSE(prefers_html(head_with("")));
  EXPECT_FALSE(prefers_html(head_with("X-Accept: text/html\r\n")));
}

TEST(negotiation, reads_all_lines_of_a_field_as_one_list) {
  EXPECT_FALSE(prefers_html(head_with("Accept: text/html;q=0.5\r\nA: b\r\naccept: */*\r\n")));
  EXPECT_TRUE(prefers_html(head_with("Accept: application/json;q=0.5\r\nACCEPT: text/html\r\n")));
}

TEST(negotiation, ignores_elements_whose_weight_is_malformed) {
  for (const char* weight : {"2", "1.5", "1.001", "0.1234", "x", "", "-1", "0,5", ".5", "1x"})
    EXPECT_FALSE(html_by(std::string{"text/html;q="} + weight)) << weight;
}

TEST(negotiation, compresses_for_clients_that_accept_gzip) {
  for (const char* accept : {"gzip", "gzip, deflate, br, zstd", "GZIP;q=0.5", "x-gzip", "*",
                             "br, *;q=0.1", "identity;q=0.5, gzip", "identity, gzip"})
    EXPECT_TRUE(gzip_by(accept)) << accept;
}

TEST(negotiation, does_not_compress_for_others) {
  for (const char* accept : {"", "identity", "br", "gzip;q=0", "*, gzip;q=0",
                             "gzip;q=0.4, identity;q=0.5", "*;q=0", "gzip;q=2"})
    EXPECT_FALSE(gzip_by(accept)) << accept;
  EXPECT_FALSE(prefers_gzip(head_with("")));
}

} // namespace
} // namespace kvcache::http
