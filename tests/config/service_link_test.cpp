#include "config/service_link.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::config {
namespace {

TEST(service_link, is_every_variable_that_kubernetes_sets_for_a_service) {
  struct {
    const char *name, *value;
  } const set[] = {
      {"KVCACHE_SERVICE_HOST", "10.0.0.7"},
      {"KVCACHE_SERVICE_PORT", "7171"},
      {"KVCACHE_SERVICE_PORT_HTTP", "7171"},
      {"KVCACHE_PORT", "tcp://10.0.0.7:7171"},
      {"KVCACHE_PORT_7171_TCP", "tcp://10.0.0.7:7171"},
      {"KVCACHE_PORT_7171_TCP_PROTO", "tcp"},
      {"KVCACHE_PORT_7171_TCP_PORT", "7171"},
      {"KVCACHE_PORT_7171_TCP_ADDR", "10.0.0.7"},
      {"KVCACHE_PORT_53_UDP", "udp://10.0.0.7:53"},
      {"KVCACHE_BLUE_SERVICE_HOST", "fd00::7"},
      {"KVCACHE_BLUE_PORT", "tcp://[fd00::7]:7171"},
      {"KVCACHE_BLUE_PORT_7171_TCP_ADDR", "fd00::7"},
  };
  for (const auto& each : set) EXPECT_TRUE(is_service_link(each.name, each.value)) << each.name;
}

TEST(service_link, is_not_an_option_nor_a_misspelled_one) {
  struct {
    const char *name, *value;
  } const set[] = {
      {"KVCACHE_PORT", "7171"},     {"KVCACHE_PORT", ""},    {"KVCACHE_PORT", "tcp"},
      {"KVCACHE_PROT", "tcp://a"},  {"KVCACHE_HOST", "a"},   {"KVCACHE_PORT_7171", "tcp://a:1"},
      {"KVCACHE_BIND", "tcp://::"}, {"KVCACHE_PORTS", "80"},
  };
  for (const auto& each : set) EXPECT_FALSE(is_service_link(each.name, each.value)) << each.name;
}

TEST(service_link, accepts_values_of_any_length) {
  EXPECT_FALSE(is_service_link("KVCACHE_PORT", "tcp://" + std::string(1 << 20, 'x')));
}

} // namespace
} // namespace kvcache::config
