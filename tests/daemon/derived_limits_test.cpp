#include "daemon/derived_limits.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace kvcache::daemon {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

constexpr unsigned threads = 2;

config::options resolved(const config::options& settings = {}) {
  return resolve_automatic(settings, threads);
}

TEST(derived_limits, leave_the_other_options_of_the_server_unchanged) {
  config::options settings = resolved();
  settings.server.bind_address = "::1";
  settings.server.port = 1;
  settings.server.limits.head_fields = 2;
  settings.server.timeouts.head_timeout_ms = 3;
  settings.server.timeouts.body_timeout_ms = 4;
  settings.server.timeouts.idle_timeout_ms = 5;
  settings.server.timeouts.write_timeout_ms = 6;
  settings.server.default_ttl_s = 7;
  settings.server.drain_delay_ms = 8;
  settings.server.drain_timeout_ms = 9;
  settings.server.access_log_sample = 10;
  settings.server.enable_flush = true;
  settings.server.allowed_hosts = {"a"};
  const http::server_options made = make_server_options(settings, 1024 * mib);
  EXPECT_EQ(made.bind_address, "::1");
  EXPECT_EQ(made.port, 1);
  EXPECT_EQ(made.threads, 2U);
  EXPECT_EQ(made.limits.head_fields, 2U);
  EXPECT_EQ(made.timeouts.head_timeout_ms, 3U);
  EXPECT_EQ(made.timeouts.body_timeout_ms, 4U);
  EXPECT_EQ(made.timeouts.idle_timeout_ms, 5U);
  EXPECT_EQ(made.timeouts.write_timeout_ms, 6U);
  EXPECT_EQ(made.default_ttl_s, 7U);
  EXPECT_EQ(made.drain_delay_ms, 8U);
  EXPECT_EQ(made.drain_timeout_ms, 9U);
  EXPECT_EQ(made.access_log_sample, 10U);
  EXPECT_TRUE(made.enable_flush);
  EXPECT_EQ(made.allowed_hosts, settings.server.allowed_hosts);
}

TEST(derived_limits, keep_the_documented_request_limits_by_default) {
  const http::http_limits limits = make_server_options(resolved(), 1024 * mib).limits;
  EXPECT_EQ(limits.head_bytes, 16384U);
  EXPECT_EQ(limits.head_fields, 64U);
  EXPECT_EQ(limits.target_bytes, 8192U);
  EXPECT_EQ(limits.body_bytes, 16384U);
  EXPECT_EQ(limits.chunk_overhead_bytes, 16384U);
}

TEST(derived_limits, raise_the_request_limits_with_the_character_limits) {
  config::options settings;
  settings.server.limits.max_key_chars = 10'000;
  settings.server.limits.max_value_chars = 1'000'000;
  const http::http_limits limits = make_server_options(resolved(settings), 1024 * mib).limits;
  constexpr std::size_t longest_spelling = 12; // bytes a character can take, escaped
  EXPECT_GE(limits.target_bytes, 10'000 * longest_spelling);
  EXPECT_GE(limits.head_bytes, limits.target_bytes);
  EXPECT_GE(limits.body_bytes, 1'010'000 * longest_spelling);
  EXPECT_EQ(limits.chunk_overhead_bytes, http::chunk_overhead_for(limits.body_bytes));
}

TEST(derived_limits, derive_chunk_overhead_from_a_configured_body_limit) {
  config::options settings;
  settings.server.limits.body_bytes = 32 * mib;
  const http::http_limits limits = make_server_options(resolved(settings), 1024 * mib).limits;
  EXPECT_EQ(limits.chunk_overhead_bytes, http::chunk_overhead_for(32 * mib));
  EXPECT_GT(limits.chunk_overhead_bytes, http::http_limits{}.chunk_overhead_bytes);
}

TEST(derived_limits, fit_the_head_to_a_configured_target_limit) {
  config::options settings;
  settings.server.limits.target_bytes = 20'000;
  EXPECT_EQ(resolved(settings).server.limits.head_bytes, 20'000 + http::head_frame_bytes);
  settings.server.limits.target_bytes = 1024;
  EXPECT_EQ(resolved(settings).server.limits.head_bytes, 16384U);
}

TEST(derived_limits, allow_the_framing_of_a_large_body_in_small_chunks) {
  EXPECT_EQ(make_server_options(resolved(), 1024 * mib).limits.chunk_overhead_bytes, 16384U);
  config::options settings;
  settings.server.limits.max_value_chars = 1'000'000;
  const http::http_limits limits = make_server_options(resolved(settings), 1024 * mib).limits;
  constexpr std::size_t chunk_bytes = 128;
  EXPECT_GE(limits.chunk_overhead_bytes,
            limits.body_bytes / chunk_bytes * std::string_view{"80\r\n\r\n"}.size());
}

TEST(derived_limits, cause_no_warning_if_they_are_automatic) {
  EXPECT_TRUE(find_tight_limits(resolved()).empty());
  config::options settings;
  settings.server.limits.max_key_chars = 1'000'000;
  settings.server.limits.max_value_chars = 1'000'000;
  EXPECT_TRUE(find_tight_limits(resolved(settings)).empty());
}

TEST(derived_limits, warn_of_keys_that_put_accepts_and_get_cannot_read) {
  config::options settings;
  settings.server.limits.max_key_chars = 3000;
  settings.server.limits.target_bytes = 8192;
  settings.server.limits.head_bytes = 20'000;
  const auto warnings = find_tight_limits(resolved(settings));
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_EQ(
      warnings[0],
      "--max-target-bytes (8192) is too small for the longest escaped key that --max-key-chars "
      "(3000) allows: GET cannot read every stored key; set at least 36009");
  EXPECT_TRUE(warnings[1].starts_with("--max-head-bytes (20000) is too small")) << warnings[1];
  EXPECT_NE(warnings[1].find("--max-key-chars (3000)"), std::string::npos) << warnings[1];
}

TEST(derived_limits, warn_of_keys_and_values_that_put_rejects_in_their_longest_escaped_form) {
  config::options settings;
  settings.server.limits.max_key_chars = 100;
  settings.server.limits.max_value_chars = 1000;
  settings.server.limits.body_bytes = 1100 * 12 + 20;
  const auto warnings = find_tight_limits(resolved(settings));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0],
            "--max-body-bytes (13220) is too small for the longest escaped key and value that "
            "--max-key-chars (100) and --max-value-chars (1000) allow: such a PUT is refused; set "
            "at least "
            "13221");
  settings.server.limits.body_bytes += 1;
  EXPECT_TRUE(find_tight_limits(resolved(settings)).empty());
}

TEST(derived_limits, leave_configured_request_limits_unchanged) {
  config::options settings;
  settings.server.limits.head_bytes = 1024;
  settings.server.limits.target_bytes = 1025;
  settings.server.limits.body_bytes = 1026;
  const http::http_limits limits = make_server_options(resolved(settings), 1024 * mib).limits;
  EXPECT_EQ(limits.head_bytes, 1024U);
  EXPECT_EQ(limits.target_bytes, 1025U);
  EXPECT_EQ(limits.body_bytes, 1026U);
}

TEST(derived_limits, leave_a_configured_number_of_threads_unchanged) {
  config::options settings;
  settings.server.threads = 7;
  EXPECT_EQ(resolved(settings).server.threads, 7U);
  EXPECT_EQ(resolved(settings).cache.eviction.threads, 7U);
  EXPECT_EQ(resolved().server.threads, threads);
  EXPECT_EQ(resolved().cache.eviction.threads, threads);
}

TEST(derived_limits, grant_connections_a_part_of_the_memory_limit) {
  const config::options settings = resolved();
  EXPECT_EQ(make_server_options(settings, 2048 * mib).max_connections, 10'000U);
  EXPECT_EQ(make_server_options(settings, 64 * mib).max_connections, 5'461U);
  EXPECT_EQ(make_server_options(settings, 64 * mib).max_buffer_bytes, 16 * mib);
}

TEST(derived_limits, shrink_socket_buffers_with_the_memory_limit) {
  constexpr std::size_t kib = 1024;
  const config::options settings = resolved();
  const auto sends = [&](std::uint64_t limit) {
    return make_server_options(settings, limit).send_buffer_bytes;
  };
  const auto receives = [&](std::uint64_t limit) {
    return make_server_options(settings, limit).receive_buffer_bytes;
  };
  EXPECT_EQ(sends(16 * mib), 8 * kib);
  EXPECT_EQ(receives(16 * mib), 4 * kib);
  EXPECT_EQ(sends(1), 4 * kib);
  EXPECT_EQ(sends(64 * mib), 32 * kib);
  EXPECT_EQ(sends(2048 * mib), 256 * kib);
  EXPECT_EQ(receives(64 * mib), 16 * kib);
  EXPECT_EQ(receives(256 * mib), 64 * kib);
  EXPECT_EQ(receives(2048 * mib), 256 * kib);
}

TEST(derived_limits, warn_if_the_memory_limit_allows_fewer_connections_than_configured) {
  const config::options settings = resolved();
  EXPECT_EQ(find_fewer_connections(settings, 2048 * mib), std::nullopt);
  EXPECT_EQ(connections_most(settings, 64 * mib), 5'461U);
  EXPECT_EQ(find_fewer_connections(settings, 64 * mib),
            "the memory limit allows only 5461 connections, fewer than --max-connections "
            "(10000)");
}

TEST(derived_limits, reserve_descriptors_for_everything_but_served_connections) {
  EXPECT_EQ(fit_to_open_files(resolved(), 1'048'576).server.max_connections, 10'000U);
  EXPECT_EQ(fit_to_open_files(resolved(), 0).server.max_connections, 10'000U); // not known
  EXPECT_EQ(fit_to_open_files(resolved(), 20).server.max_connections, 1U);
  for (const std::uint64_t files : {128U, 256U, 1024U, 4096U, 20'000U}) {
    const config::options settings = fit_to_open_files(resolved(), files);
    const http::server_options made = make_server_options(settings, 2048 * mib);
    EXPECT_GE(made.max_connections, 1U);
    EXPECT_LE(made.max_connections + made.health_connections + made.refused_connections + 64,
              files);
  }
  EXPECT_GT(fit_to_open_files(resolved(), 1024).server.max_connections, 800U);
}

TEST(derived_limits, discard_a_rejected_body_for_at_least_the_body_timeout) {
  config::options settings = resolved();
  EXPECT_EQ(make_server_options(settings, 1024 * mib).timeouts.linger_total_ms, 30'000U);
  settings.server.timeouts.body_timeout_ms = 40'000;
  EXPECT_EQ(make_server_options(settings, 1024 * mib).timeouts.linger_total_ms,
            41'000U); // a second more for a value of 1 MiB
}

memory_reading level(std::uint64_t used_mib, std::uint64_t limit_mib) {
  return {used_mib * mib, limit_mib * mib, "test"};
}

TEST(load_caps, follow_the_lowest_limit) {
  const std::vector<memory_reading> levels{level(0, 64), level(0, 2048)};
  const http::load_caps caps = make_load_caps(resolved(), levels, {});
  EXPECT_EQ(caps.connections_most, 5'461U);
  const http::load_caps higher = make_load_caps(resolved(), std::vector{level(0, 96)}, {});
  EXPECT_EQ(higher.connections_most, 8'192U);
  const http::load_caps lots = make_load_caps(resolved(), std::vector{level(0, 4096)}, {});
  EXPECT_EQ(lots.connections_most, 10'000U);
}

TEST(load_caps, grant_a_part_of_the_free_memory_at_the_fullest_level) {
  // 95 % of 100 MiB less 75 MiB are 20 MiB, of which a quarter is granted.
  const std::vector<memory_reading> levels{level(75, 100), level(0, 100)};
  const load_now now{.connections = 1000, .buffer_bytes = 2 * mib};
  const http::load_caps caps = make_load_caps(resolved(), levels, now);
  EXPECT_EQ(caps.connections_now, 1000 + 5 * mib / 12288);
  EXPECT_EQ(caps.buffer_bytes, 7 * mib);
  EXPECT_EQ(caps.buffer_bytes_most, 25 * mib);
}

TEST(load_caps, never_grant_more_than_their_share_of_the_limit) {
  const load_now now{.connections = 5'000, .buffer_bytes = 15 * mib};
  const http::load_caps caps = make_load_caps(resolved(), std::vector{level(1, 64)}, now);
  EXPECT_EQ(caps.connections_now, 5'461U);
  EXPECT_EQ(caps.buffer_bytes, 16 * mib);
}

TEST(load_caps, grant_a_minimum_if_other_processes_use_all_memory) {
  const http::load_caps caps = make_load_caps(resolved(), std::vector{level(64, 64)}, {});
  EXPECT_EQ(caps.connections_now, 5'461U / 16);
  EXPECT_EQ(caps.buffer_bytes, mib);
}

TEST(derived_limits, warn_of_values_that_need_more_memory_than_one_request_can_get) {
  config::options settings;
  settings.server.limits.max_value_chars =
      1'000'000; // 12 million bytes, escaped; three sixteenths are left
  const memory_reading enough{.used_bytes = 0, .limit_bytes = 64 * mib, .source = "host"};
  EXPECT_EQ(find_values_beyond_memory(resolved(settings), enough), std::nullopt);
  const memory_reading small{.used_bytes = 0, .limit_bytes = 32 * mib, .source = "host"};
  const auto warning = find_values_beyond_memory(resolved(settings), small);
  ASSERT_TRUE(warning);
  for (const char* part :
       {"32 MiB (host)", "--max-value-chars (1000000)", "413", "raise the limit"})
    EXPECT_NE(warning->find(part), std::string::npos) << *warning;
  // Buffers have less than a quarter of such a limit.
  settings.server.limits.max_value_chars = 200'000;
  const memory_reading smallest{.used_bytes = 0, .limit_bytes = 16 * mib, .source = "host"};
  EXPECT_TRUE(find_values_beyond_memory(resolved(settings), smallest));
  settings.server.limits.body_bytes = 65536; // refused for its length anyway
  EXPECT_EQ(find_values_beyond_memory(resolved(settings), small), std::nullopt);
}

TEST(derived_limits, warn_of_values_of_any_bytes_that_a_memory_limit_cannot_receive) {
  config::options settings;
  settings.server.limits.max_value_bytes = 64 * mib;
  const memory_reading small{.used_bytes = 0, .limit_bytes = 256 * mib, .source = "host"};
  const auto warning = find_values_beyond_memory(resolved(settings), small);
  ASSERT_TRUE(warning);
  for (const char* part : {"256 MiB (host)", "--max-value-bytes (67108864)", "413"})
    EXPECT_NE(warning->find(part), std::string::npos) << *warning;
  const memory_reading enough{.used_bytes = 0, .limit_bytes = 2048 * mib, .source = "host"};
  EXPECT_EQ(find_values_beyond_memory(resolved(settings), enough), std::nullopt);
}

} // namespace
} // namespace kvcache::daemon
