// Origin: RFC 6454 §7 and the Fetch standard §3.2. Sec-Fetch-Site: W3C Fetch Metadata §2.3. Hosts:
// RFC 9110 §7.2, §7.4.
#include "api/request_guard.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

request asked(std::string_view host, std::string_view origin, std::string_view fetch_site = {}) {
  request made;
  made.host = host;
  made.fields[static_cast<std::size_t>(known_field::origin)] = origin;
  made.fields[static_cast<std::size_t>(known_field::sec_fetch_site)] = fetch_site;
  return made;
}

TEST(request_guard, allows_programs_that_send_no_origin) {
  EXPECT_FALSE(is_cross_origin(asked("localhost:7171", {})));
}

TEST(request_guard, compares_the_origin_with_the_host_of_the_request) { // RFC 6454 §5, §7
  EXPECT_FALSE(is_cross_origin(asked("localhost:7171", "http://localhost:7171")));
  EXPECT_FALSE(is_cross_origin(asked("LocalHost:7171", "HTTP://localhost:7171")));
  EXPECT_FALSE(is_cross_origin(asked("cache.example", "https://cache.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://localhost:8080")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://evil.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://localhost:7171.evil.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "file://localhost:7171")));
}

TEST(request_guard, knows_the_default_ports_of_both_schemes) { // RFC 9110 §4.2.1, §4.2.2
  EXPECT_FALSE(is_cross_origin(asked("cache.example:80", "http://cache.example")));
  EXPECT_FALSE(is_cross_origin(asked("cache.example", "https://cache.example:443")));
  EXPECT_TRUE(is_cross_origin(asked("cache.example:443", "http://cache.example")));
}

TEST(request_guard, refuses_an_origin_that_is_opaque_or_empty) { // RFC 6454 §6.1, §7.1
  EXPECT_TRUE(is_cross_origin(asked("localhost", "null")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", "")));
}

TEST(request_guard, refuses_every_origin_if_the_request_has_no_host) { // HTTP/1.0
  for (const char* origin : {"http://", "https://", "http://:80", "https://:443", "null", ""})
    EXPECT_TRUE(is_cross_origin(asked("", origin))) << origin;
  EXPECT_FALSE(is_cross_origin(asked("", {})));
}

TEST(request_guard,
     treats_unknown_values_of_sec_fetch_site_as_cross_origin) { // Fetch Metadata §2.3
  for (const char* site : {"", "None", "SAME-ORIGIN", "same-origin;a", "same-origin, cross-site",
                           "none none", "\"none\"", "same-planet", "cross-origin", "null", "?1"})
    EXPECT_TRUE(is_cross_origin(asked("localhost", {}, site))) << site;
}

TEST(request_guard, refuses_a_request_that_its_browser_calls_cross_site) { // Fetch Metadata §2.3
  EXPECT_TRUE(is_cross_origin(asked("localhost", {}, "cross-site")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", {}, "same-site")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", "http://localhost", "Cross-Site")));
  EXPECT_FALSE(is_cross_origin(asked("localhost", {}, "same-origin")));
  EXPECT_FALSE(is_cross_origin(asked("localhost", {}, "none")));
}

TEST(request_guard,
     compares_no_host_where_the_browser_names_the_site) { // a proxy may have changed the Host
  EXPECT_FALSE(is_cross_origin(asked("127.0.0.1:7171", "https://cache.example", "same-origin")));
  EXPECT_FALSE(is_cross_origin(asked("cache", "http://cache.example:8080", "none")));
  EXPECT_FALSE(is_cross_origin(asked("", "http://cache.example", "same-origin")));
  for (const char* site : {"", "cross-site", "same-site", "same-planet"})
    EXPECT_TRUE(is_cross_origin(asked("localhost", "http://localhost", site))) << site;
}

TEST(request_guard, allows_every_host_without_a_list) {
  EXPECT_TRUE(is_allowed_host("anything.example", {}));
}

TEST(request_guard, compares_hosts_without_port_and_case) { // RFC 9110 §4.2.3, §7.4
  const std::vector<std::string> allowed{"cache.example", "[::1]"};
  EXPECT_TRUE(is_allowed_host("cache.example", allowed));
  EXPECT_TRUE(is_allowed_host("Cache.Example:7171", allowed));
  EXPECT_TRUE(is_allowed_host("[::1]", allowed));
  EXPECT_TRUE(is_allowed_host("[::1]:7171", allowed));
  EXPECT_FALSE(is_allowed_host("cache.example.evil.example", allowed));
  EXPECT_FALSE(is_allowed_host("", allowed));
}

} // namespace
} // namespace kvcache::http
