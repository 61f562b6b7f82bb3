// Every list of the options names the same ones: the table, --help, --print-config, the
// configuration in /stats and its documentation. Each flag reaches the member of the layer that
// uses it.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/endpoint_table.hpp"
#include "config/command_line.hpp"
#include "config/option_table.hpp"

namespace kvcache::config {
namespace {

using names = std::set<std::string>;

// Every match of "<prefix><name><end>" at the start of a line, without prefix and end.
names names_at_line_starts(const std::string& text, const std::string& prefix, char end) {
  names found;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(prefix))
      found.insert(line.substr(prefix.size(), line.find(end, prefix.size()) - prefix.size()));
  return found;
}

names all_names() {
  names all;
  for (const option_row& row : option_table()) all.emplace(row.name);
  return all;
}

TEST(option_lists, name_the_same_options_in_help_as_in_the_table) {
  const std::string help = parse_command_line({"--help"}, {}).text;
  names flags = names_at_line_starts(help, "  --", ' ');
  for (const char* command : {"version", "print-config", "health-check"})
    EXPECT_EQ(flags.erase(command), 1U) << command;
  EXPECT_EQ(flags, all_names());
  for (const option_row& row : option_table())
    EXPECT_NE(help.find("environment: " + row.environment_variable() + "]"), std::string::npos)
        << row.name;
}

TEST(option_lists, name_the_same_options_in_print_config_as_in_the_table) {
  const command_line line = parse_command_line({"--print-config"}, {});
  EXPECT_EQ(names_at_line_starts(describe(line.settings, line.origins, ""), "", '='), all_names());
}

TEST(option_lists, show_every_option_in_the_statistics_except_those_of_the_log_format) {
  names expected;
  for (const option_row& row : option_table())
    if (row.name != "log-level" && row.name != "log-format") expected.insert(row.stats_member());
  names shown;
  const auto configuration = settings_json(options{});
  for (const auto& [name, value] : configuration.items()) shown.insert(name);
  EXPECT_EQ(shown, expected);
}

TEST(option_lists, document_the_statistics_that_are_shown) {
  const auto document = nlohmann::json::parse(http::product_endpoints.openapi);
  const auto& documented =
      document["components"]["schemas"]["Stats"]["properties"]["configuration"];
  names expected;
  for (const auto& [name, schema] : documented["properties"].items()) expected.insert(name);
  EXPECT_EQ(documented["required"].get<names>(), expected);
  names shown;
  const auto configuration = settings_json(options{});
  for (const auto& [name, value] : configuration.items()) shown.insert(name);
  EXPECT_EQ(shown, expected);
}

// A different value for each option.
const std::vector<std::string> every_flag{"--bind=::1",
                                          "--port=1",
                                          "--threads=2",
                                          "--max-key-chars=3",
                                          "--max-value-chars=4",
                                          "--max-value-bytes=2K",
                                          "--max-entries=5",
                                          "--default-ttl-s=6",
                                          "--memory-limit=16M",
                                          "--pressure-percent=61",
                                          "--emergency-percent=91",
                                          "--floor-percent=11",
                                          "--eviction-interval-ms=51",
                                          "--max-head-bytes=1024",
                                          "--max-head-fields=7",
                                          "--max-target-bytes=1025",
                                          "--max-body-bytes=1026",
                                          "--max-batch-ops=12",
                                          "--max-batch-bytes=3K",
                                          "--max-batch-reply-bytes=65K",
                                          "--max-connections=8",
                                          "--head-timeout-ms=101",
                                          "--body-timeout-ms=102",
                                          "--idle-timeout-ms=103",
                                          "--write-timeout-ms=104",
                                          "--snapshot-file=/snapshot",
                                          "--snapshot-interval-s=13",
                                          "--snapshot-timeout-ms=106",
                                          "--snapshot-max-age-s=14",
                                          "--enable-flush",
                                          "--enable-snapshot",
                                          "--no-page",
                                          "--allowed-hosts=a,b",
                                          "--auth-token-file=/tokens",
                                          "--drain-delay-ms=9",
                                          "--drain-timeout-ms=105",
                                          "--log-level=warn",
                                          "--log-format=json",
                                          "--access-log",
                                          "--access-log-sample=10"};

TEST(option_lists, lead_each_flag_to_the_member_of_its_layer) {
  const command_line line = parse_command_line(every_flag, {});
  ASSERT_EQ(line.what, command::serve) << line.text;
  for (std::size_t i = 0; i < option_table().size(); ++i)
    EXPECT_EQ(line.origins[i], "flag " + option_table()[i].flag());
  const http::server_options& server = line.settings.server;
  EXPECT_EQ(server.bind_address, "::1");
  EXPECT_EQ(server.port, 1);
  EXPECT_EQ(server.threads, 2U);
  EXPECT_EQ(server.limits.max_key_chars, 3U);
  EXPECT_EQ(server.limits.max_value_chars, 4U);
  EXPECT_EQ(server.limits.max_value_bytes, 2048U);
  EXPECT_EQ(server.default_ttl_s, 6U);
  EXPECT_EQ(server.limits.head_bytes, 1024U);
  EXPECT_EQ(server.limits.head_fields, 7U);
  EXPECT_EQ(server.limits.target_bytes, 1025U);
  EXPECT_EQ(server.limits.body_bytes, 1026U);
  EXPECT_EQ(server.limits.max_batch_ops, 12U);
  EXPECT_EQ(server.limits.max_batch_bytes, 3072U);
  EXPECT_EQ(server.limits.max_batch_reply_bytes, 66'560U);
  EXPECT_EQ(server.max_connections, 8U);
  EXPECT_EQ(server.timeouts.head_timeout_ms, 101U);
  EXPECT_EQ(server.timeouts.body_timeout_ms, 102U);
  EXPECT_EQ(server.timeouts.idle_timeout_ms, 103U);
  EXPECT_EQ(server.timeouts.write_timeout_ms, 104U);
  EXPECT_TRUE(server.enable_flush);
  EXPECT_TRUE(server.no_page);
  EXPECT_TRUE(server.enable_snapshot);
  EXPECT_EQ(server.allowed_hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(server.drain_delay_ms, 9U);
  EXPECT_EQ(server.drain_timeout_ms, 105U);
  EXPECT_EQ(server.access_log_sample, 10U);
  const snapshot::options& snapshots = line.settings.snapshots;
  EXPECT_EQ(snapshots.file, "/snapshot");
  EXPECT_EQ(snapshots.interval_s, 13U);
  EXPECT_EQ(snapshots.timeout_ms, 106U);
  EXPECT_EQ(snapshots.max_age_s, 14U);
  const limited_cache_options& cache = line.settings.cache;
  EXPECT_EQ(cache.max_entries, 5U);
  EXPECT_EQ(cache.memory_limit_bytes, std::uint64_t{16} << 20);
  EXPECT_EQ(cache.eviction.pressure.pressure_percent, 61U);
  EXPECT_EQ(cache.eviction.pressure.emergency_percent, 91U);
  EXPECT_EQ(cache.eviction.pressure.floor_percent, 11U);
  EXPECT_EQ(cache.eviction.interval_ms, 51U);
  EXPECT_EQ(line.settings.auth_token_file, "/tokens");
  EXPECT_EQ(line.settings.level, log_level::warn);
  EXPECT_EQ(line.settings.format, log_format::json);
  EXPECT_TRUE(line.settings.access_log);
}

TEST(option_lists, show_each_value_in_the_statistics) {
  const nlohmann::json shown = settings_json(parse_command_line(every_flag, {}).settings);
  EXPECT_EQ(shown, nlohmann::json::parse(R"({
    "bind": "::1", "port": 1, "threads": 2, "max_key_chars": 3, "max_value_chars": 4,
    "max_value_bytes": 2048,
    "max_entries": 5, "max_connections": 8, "default_ttl_s": 6, "memory_limit_bytes": 16777216,
    "pressure_percent": 61, "emergency_percent": 91, "floor_percent": 11,
    "eviction_interval_ms": 51, "max_head_bytes": 1024, "max_head_fields": 7,
    "max_target_bytes": 1025, "max_body_bytes": 1026, "max_batch_ops": 12,
    "max_batch_bytes": 3072, "max_batch_reply_bytes": 66560, "head_timeout_ms": 101,
    "body_timeout_ms": 102, "idle_timeout_ms": 103, "write_timeout_ms": 104, "drain_delay_ms": 9,
    "drain_timeout_ms": 105, "tokens": true, "enable_flush": true, "allowed_hosts": 2,
    "enable_snapshot": true, "no_page": true, "snapshot_file": true, "snapshot_interval_s": 13,
    "snapshot_timeout_ms": 106, "snapshot_max_age_s": 14,
    "access_log": true, "access_log_sample": 10})"));
}

TEST(option_lists, show_the_defaults_that_are_not_in_force) {
  const options defaults;
  EXPECT_EQ(changed_defaults_json(defaults, defaults), nlohmann::json::object());
  options settings;
  settings.server.port = 8080;
  settings.cache.memory_limit_bytes = 1;
  settings.auth_token_file = "/tokens";
  const nlohmann::json shown = changed_defaults_json(settings, defaults);
  EXPECT_EQ(shown, nlohmann::json::parse(
                       R"({"port": 7171, "memory_limit_bytes": null, "tokens": false})"));
}

TEST(option_lists, show_an_automatic_memory_limit_as_null_and_no_token_file_as_false) {
  const auto shown = settings_json(options{});
  EXPECT_TRUE(shown["memory_limit_bytes"].is_null());
  EXPECT_EQ(shown["tokens"], false);
  EXPECT_EQ(shown["allowed_hosts"], 0);
}

} // namespace
} // namespace kvcache::config
