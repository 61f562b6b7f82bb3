#include "report/stats_json.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report/sample_snapshot.hpp"

namespace kvcache::observe {
namespace {

using nlohmann::json;

TEST(stats_json, reports_version_state_and_uptime) {
  const json stats = json::parse(stats_json(sample_snapshot()));
  EXPECT_EQ(stats["version"], "1.2.3");
  EXPECT_EQ(stats["revision"], "0123abcd");
  EXPECT_EQ(stats["log_lines_dropped"], 9'999);
  EXPECT_EQ(stats["state"], "ready");
  EXPECT_EQ(stats["uptime_s"], 95.5);
  EXPECT_EQ(stats["entries"], 1001);
}

TEST(stats_json, reports_memory_and_the_source_of_its_limit) {
  const json memory = json::parse(stats_json(sample_snapshot()))["memory"];
  EXPECT_EQ(memory["used_bytes"], 300);
  EXPECT_EQ(memory["limit_bytes"], 400);
  EXPECT_EQ(memory["use_percent"], 75.0);
  EXPECT_EQ(memory["source"], "cgroup v2 /sys/fs/cgroup/\"odd\\name\"\n\xef\xbf\xbd");
  EXPECT_EQ(memory["live_bytes"], 2002);
  EXPECT_EQ(memory["free_bytes"], 303);
  EXPECT_EQ(memory["index_bytes"], 404);
  EXPECT_EQ(memory["held_bytes"], 5005);
  EXPECT_EQ(memory["hold_limit_bytes"], 6006);
  EXPECT_EQ(memory["buffer_bytes"], 8008);
  EXPECT_EQ(memory["index_growths"], 16);
  EXPECT_EQ(memory["index_shrinks"], 17);
  EXPECT_EQ(memory["entries_moved"], 18);
  EXPECT_EQ(memory["longest_growth_step_us"], 1900.0);
  EXPECT_EQ(memory["longest_move_slice_us"], 450.0);
}

TEST(stats_json, reports_evictions_by_cause_and_expiry_separately) {
  const json eviction = json::parse(stats_json(sample_snapshot()))["eviction"];
  EXPECT_EQ(eviction["tier"], "pressure");
  EXPECT_EQ(eviction["evictions"],
            (json{{"clock", 11}, {"lru", 12}, {"emergency", 13}, {"max_entries", 15}}));
  EXPECT_EQ(eviction["evictions_by_tier"], json::parse(R"(
                {"normal": {"clock": 1, "lru": 2, "emergency": 0, "expired": 6, "max_entries": 15},
                 "pressure": {"clock": 10, "lru": 10, "emergency": 0, "expired": 6, "max_entries": 0},
                 "emergency": {"clock": 0, "lru": 0, "emergency": 13, "expired": 2, "max_entries": 0}})"));
  EXPECT_EQ(eviction["expired"], 14);
  EXPECT_EQ(eviction["tier_changes"], 21);
  EXPECT_EQ(eviction["runs"], 22);
  EXPECT_EQ(eviction["allowance_bytes"], 7007);
  EXPECT_EQ(eviction["last_slice_us"], 123.0);
  EXPECT_EQ(eviction["longest_slice_us"], 456.0);
}

TEST(stats_json, counts_since_the_start) {
  const json total = json::parse(stats_json(sample_snapshot()))["since_start"];
  EXPECT_EQ(total["seconds"], 95.5);
  EXPECT_EQ(total["hits"], 1003);
  EXPECT_EQ(total["misses"], 1011);
  EXPECT_EQ(total["gets"], 2014);
  EXPECT_DOUBLE_EQ(total["hit_ratio"].get<double>(), 1003.0 / 2014.0);
  EXPECT_EQ(total["puts"], 1000 + 1010);
  EXPECT_EQ(total["put_outcomes"], (json{{"inserted", 1000},
                                         {"replaced", 1010},
                                         {"precondition_failed", 1020},
                                         {"no_room", 1030},
                                         {"out_of_memory", 1040}}));
  EXPECT_EQ(total["deletes"], 1190);
  EXPECT_EQ(total["deletes_not_found"], 1200);
  EXPECT_EQ(total["flushes"], 1210);
  EXPECT_EQ(total["other_requests"], 1220);
  EXPECT_EQ(total["refused"],
            (json{{"status_400", 2}, {"status_404", 1}, {"status_503", 1}, {"status_other", 1}}));
  EXPECT_EQ(total["responses"], json::parse(R"(
                {"get": {"status_200": 1003, "status_400": 2, "status_404": 1011}, "put": {"status_200": 2010, "status_503": 1},
                 "delete": {"status_200": 1190, "status_404": 1200}, "flush": {"status_200": 1210},
                 "healthz": {"status_200": 1000}, "options": {"status_204": 220}, "unknown": {"status_404": 1},
                 "none": {"status_other": 1}})"));
  EXPECT_EQ(total["received_bytes"], 1100);
  EXPECT_EQ(total["sent_bytes"], 1110);
}

TEST(stats_json, reports_latencies_in_microseconds) {
  const json total = json::parse(stats_json(sample_snapshot()))["since_start"];
  const json& get = total["get_latency_us"];
  EXPECT_NEAR(get["p50"].get<double>(), 20, 20.0 / 16);
  EXPECT_NEAR(get["p90"].get<double>(), 20, 20.0 / 16);
  EXPECT_NEAR(get["p99"].get<double>(), 3000, 3000.0 / 16);
  EXPECT_NEAR(get["p999"].get<double>(), 3000, 3000.0 / 16);
  EXPECT_EQ(get["max"], 3000.0);
  EXPECT_EQ(total["put_latency_us"]["max"], 40.0);
}

TEST(stats_json, counts_the_last_minute_in_the_same_shape) {
  const json stats = json::parse(stats_json(sample_snapshot()));
  const json& minute = stats["last_minute"];
  EXPECT_EQ(minute["seconds"], 65.5);
  EXPECT_EQ(minute["hits"], 3);
  EXPECT_EQ(minute["misses"], 1);
  EXPECT_EQ(minute["hit_ratio"], 0.75);
  EXPECT_EQ(minute["puts"], 0);
  EXPECT_EQ(minute["refused"], (json{{"status_404", 1}}));
  EXPECT_NEAR(minute["get_latency_us"]["p99"].get<double>(), 15, 1);

  for (const auto& [name, value] : stats["since_start"].items())
    EXPECT_TRUE(minute.contains(name)) << name;
  EXPECT_EQ(minute.size(), stats["since_start"].size());
}

TEST(stats_json, reports_connections_and_configuration) {
  const json stats = json::parse(stats_json(sample_snapshot()));
  EXPECT_EQ(stats["connections"], (json{{"now", 0},
                                        {"total", 1060},
                                        {"refused", 1080},
                                        {"shed", 1120},
                                        {"accept_failures", 1090}}));
  EXPECT_EQ(stats["configuration"], (json{{"port", 7171}, {"memory_limit_bytes", nullptr}}));
  EXPECT_EQ(stats["changed_defaults"], (json{{"port", 7170}}));
}

TEST(stats_json, reports_the_figures_of_the_process) {
  const json stats = json::parse(stats_json(sample_snapshot()));
  EXPECT_EQ(stats["process"], (json{{"started_at_s", 1700000000.5},
                                    {"cpu_s", 12.25},
                                    {"resident_bytes", 9009},
                                    {"open_files", 31},
                                    {"max_open_files", 65536}}));
}

TEST(stats_json, contains_null_for_a_ratio_without_denominator) {
  const json stats = json::parse(stats_json(service_snapshot{}));
  EXPECT_TRUE(stats["since_start"]["hit_ratio"].is_null());
  EXPECT_TRUE(stats["last_minute"]["hit_ratio"].is_null());
  EXPECT_TRUE(stats["memory"]["use_percent"].is_null());
  EXPECT_EQ(stats["since_start"]["get_latency_us"]["p99"], 0.0);
}

TEST(stats_json, is_valid_json_for_any_bytes_in_the_source) {
  service_snapshot snapshot;
  for (int byte = 0; byte < 256; ++byte)
    snapshot.eviction.reading.source += static_cast<char>(byte);
  const std::string text = stats_json(snapshot);
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }))
      << text;
  const std::string source = json::parse(text)["memory"]["source"];
  EXPECT_EQ(source.substr(0, 128), snapshot.eviction.reading.source.substr(0, 128));
  EXPECT_EQ(source.substr(128, 3), "\xef\xbf\xbd");
}

TEST(stats_json, writes_the_largest_integers_exactly) {
  service_snapshot snapshot;
  snapshot.buffer_bytes = std::numeric_limits<std::uint64_t>::max();
  EXPECT_NE(stats_json(snapshot).find(R"("buffer_bytes":18446744073709551615)"), std::string::npos);
}

TEST(stats_json, writes_no_member_twice) {
  const std::string text = stats_json(sample_snapshot());
  std::vector<std::vector<std::string>> open;
  const json::parser_callback_t check = [&open](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const auto name = parsed.get<std::string>();
      EXPECT_EQ(std::count(open.back().begin(), open.back().end(), name), 0) << name;
      open.back().push_back(name);
    }
    return true;
  };
  EXPECT_FALSE(json::parse(text, check).is_discarded());
}

TEST(stats_json, reports_the_last_load_and_the_last_save_of_a_snapshot) {
  const auto shown = nlohmann::json::parse(stats_json(sample_snapshot()))["snapshot"];
  EXPECT_EQ(shown, nlohmann::json::parse(R"({
    "last_load": {"result": "damaged", "entries": 5001, "bytes": 5002, "seconds": 1.5,
                  "skipped_blocks": 3, "time": "2023-11-14T22:13:20.123Z"},
    "last_save": {"result": "shortened", "entries": 6001, "bytes": 6002, "seconds": 2.5,
                  "skipped_blocks": 0, "time": "2023-11-14T22:15:00.000Z"},
    "failed_saves": 4, "file_age_s": 12.345})"));
}

TEST(stats_json, reports_neither_time_nor_age_without_a_snapshot) {
  const auto shown = nlohmann::json::parse(stats_json(service_snapshot{}))["snapshot"];
  EXPECT_EQ(shown["last_load"]["result"], "none");
  EXPECT_TRUE(shown["last_load"]["time"].is_null());
  EXPECT_TRUE(shown["last_save"]["time"].is_null());
  EXPECT_TRUE(shown["file_age_s"].is_null());
}

} // namespace
} // namespace kvcache::observe
