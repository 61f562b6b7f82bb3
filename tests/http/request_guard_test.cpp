#include "http/request_guard.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

request asked(std::string_view host, std::string_view origin, std::string_view fetch_site = {}) {
  request made;
  made.host = host;
  made.origin = origin;
  made.sec_fetch_site = fetch_site;
  return made;
}

TEST(request_guard, lets_programs_pass_that_send_no_origin) {
  EXPECT_FALSE(is_cross_origin(asked("localhost:7171", {})));
}

TEST(request_guard, compares_the_origin_with_the_host_that_is_addressed) {
  EXPECT_FALSE(is_cross_origin(asked("localhost:7171", "http://localhost:7171")));
  EXPECT_FALSE(is_cross_origin(asked("LocalHost:7171", "HTTP://localhost:7171")));
  EXPECT_FALSE(is_cross_origin(asked("cache.example", "https://cache.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://localhost:8080")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://evil.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "http://localhost:7171.evil.example")));
  EXPECT_TRUE(is_cross_origin(asked("localhost:7171", "file://localhost:7171")));
}

TEST(request_guard, knows_the_default_ports_of_both_schemes) {
  EXPECT_FALSE(is_cross_origin(asked("cache.example:80", "http://cache.example")));
  EXPECT_FALSE(is_cross_origin(asked("cache.example", "https://cache.example:443")));
  EXPECT_TRUE(is_cross_origin(asked("cache.example:443", "http://cache.example")));
}

TEST(request_guard, refuses_an_origin_that_is_opaque_or_empty) {
  EXPECT_TRUE(is_cross_origin(asked("localhost", "null")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", "")));
}

TEST(request_guard, believes_a_browser_that_names_another_site) {
  EXPECT_TRUE(is_cross_origin(asked("localhost", {}, "cross-site")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", {}, "same-site")));
  EXPECT_TRUE(is_cross_origin(asked("localhost", "http://localhost", "Cross-Site")));
  EXPECT_FALSE(is_cross_origin(asked("localhost", {}, "same-origin")));
  EXPECT_FALSE(is_cross_origin(asked("localhost", {}, "none")));
}

TEST(request_guard, allows_every_host_where_no_list_is_given) {
  EXPECT_TRUE(is_allowed_host("anything.example", {}));
}

TEST(request_guard, compares_hosts_without_port_and_case) {
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
