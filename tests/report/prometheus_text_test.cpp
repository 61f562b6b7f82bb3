#include "report/prometheus_text.hpp"

#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "report/sample_snapshot.hpp"

namespace kvcache::observe {
namespace {

// From each series, with its labels, to its value.
std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t blank = line.rfind(' ');
    EXPECT_NE(blank, std::string::npos) << line;
    EXPECT_TRUE(samples.emplace(line.substr(0, blank), std::stod(line.substr(blank + 1))).second)
        << "twice: " << line;
  }
  return samples;
}

double value_of_whole(const std::string& name) {
  const auto samples = samples_of(prometheus_text(sample_snapshot()));
  const auto found = samples.find(name);
  EXPECT_NE(found, samples.end()) << name;
  return found == samples.end() ? -1 : found->second;
}

double value_of(const std::string& series) { return value_of_whole("keyvalue_cache_" + series); }

TEST(prometheus_text, reports_the_figures_of_the_store) {
  EXPECT_EQ(value_of("entries"), 1001);
  EXPECT_EQ(value_of("max_entries"), 5'000'000);
  EXPECT_EQ(value_of("held_bytes"), 5005);
  EXPECT_EQ(value_of("hold_limit_bytes"), 6006);
  EXPECT_EQ(value_of("store_bytes{use=\"live\"}"), 2002);
  EXPECT_EQ(value_of("store_bytes{use=\"free\"}"), 303);
  EXPECT_EQ(value_of("store_bytes{use=\"index\"}"), 404);
  EXPECT_EQ(value_of("index_growths_total"), 16);
  EXPECT_EQ(value_of("index_shrinks_total"), 17);
  EXPECT_EQ(value_of("entries_moved_total"), 18);
}

TEST(prometheus_text, uses_base_units) {
  EXPECT_EQ(value_of("index_growth_step_max_seconds"), 0.0019);
  EXPECT_EQ(value_of("move_slice_max_seconds"), 0.00045);
  EXPECT_EQ(value_of("eviction_slice_seconds"), 0.000123);
  EXPECT_EQ(value_of("eviction_slice_max_seconds"), 0.000456);
  EXPECT_EQ(value_of("pressure_threshold_ratio"), 0.7);
  EXPECT_EQ(value_of("emergency_threshold_ratio"), 0.95);
}

TEST(prometheus_text, reports_the_process_figures_of_every_prometheus_client) {
  EXPECT_EQ(value_of_whole("process_start_time_seconds"), 1700000000.5);
  EXPECT_EQ(value_of_whole("process_cpu_seconds_total"), 12.25);
  EXPECT_EQ(value_of_whole("process_resident_memory_bytes"), 9009);
  EXPECT_EQ(value_of_whole("process_open_fds"), 31);
  EXPECT_EQ(value_of_whole("process_max_fds"), 65536);
}

TEST(prometheus_text, contains_no_series_that_can_never_rise) {
  for (const auto& [series, value] : samples_of(prometheus_text(sample_snapshot()))) {
    EXPECT_EQ(series.find("too_large"), std::string::npos) << series;
  }
}

TEST(prometheus_text, reports_memory_and_eviction) {
  EXPECT_EQ(value_of("memory_used_bytes"), 300);
  EXPECT_EQ(value_of("memory_limit_bytes"), 400);
  EXPECT_EQ(value_of("allowance_bytes"), 7007);
  EXPECT_EQ(value_of("connection_buffer_bytes"), 8008);
  EXPECT_EQ(value_of("memory_tier{tier=\"normal\"}"), 0);
  EXPECT_EQ(value_of("memory_tier{tier=\"pressure\"}"), 1);
  EXPECT_EQ(value_of("memory_tier{tier=\"emergency\"}"), 0);
  EXPECT_EQ(value_of("memory_tier_changes_total"), 21);
  EXPECT_EQ(value_of("evictor_runs_total"), 22);
  EXPECT_EQ(value_of("evictions_total{cause=\"clock\",tier=\"normal\"}"), 1);
  EXPECT_EQ(value_of("evictions_total{cause=\"lru\",tier=\"normal\"}"), 2);
  EXPECT_EQ(value_of("evictions_total{cause=\"emergency\",tier=\"normal\"}"), 0);
  EXPECT_EQ(value_of("evictions_total{cause=\"max_entries\",tier=\"normal\"}"), 15);
  EXPECT_EQ(value_of("evictions_total{cause=\"clock\",tier=\"pressure\"}"), 10);
  EXPECT_EQ(value_of("evictions_total{cause=\"lru\",tier=\"pressure\"}"), 10);
  EXPECT_EQ(value_of("evictions_total{cause=\"emergency\",tier=\"emergency\"}"), 13);
  EXPECT_EQ(value_of("evictions_total{cause=\"expired\",tier=\"normal\"}"), 6);
  EXPECT_EQ(value_of("evictions_total{cause=\"expired\",tier=\"pressure\"}"), 6);
  EXPECT_EQ(value_of("expired_entries_total"), 14);
}

TEST(prometheus_text, reports_the_last_load_and_the_last_save_of_a_snapshot) {
  EXPECT_EQ(value_of("snapshot_last_load_result{result=\"damaged\"}"), 1);
  EXPECT_EQ(value_of("snapshot_last_load_result{result=\"loaded\"}"), 0);
  EXPECT_EQ(value_of("snapshot_last_load_entries"), 5001);
  EXPECT_EQ(value_of("snapshot_last_load_bytes"), 5002);
  EXPECT_EQ(value_of("snapshot_last_load_duration_seconds"), 1.5);
  EXPECT_NEAR(value_of("snapshot_last_load_timestamp_seconds"), 1700000000.123, 1e-6);
  EXPECT_EQ(value_of("snapshot_last_load_skipped_blocks"), 3);
  EXPECT_EQ(value_of("snapshot_last_save_result{result=\"shortened\"}"), 1);
  EXPECT_EQ(value_of("snapshot_last_save_entries"), 6001);
  EXPECT_EQ(value_of("snapshot_last_save_bytes"), 6002);
  EXPECT_EQ(value_of("snapshot_last_save_duration_seconds"), 2.5);
  EXPECT_EQ(value_of("snapshot_last_save_timestamp_seconds"), 1700000100);
  EXPECT_EQ(value_of("snapshot_failed_saves_total"), 4);
  EXPECT_EQ(value_of("snapshot_file_age_seconds"), 12.345);
}

TEST(prometheus_text, reports_no_age_of_a_snapshot_file_that_does_not_exist) {
  service_snapshot fresh;
  fresh.counters.since_start.operations = sample_operations;
  EXPECT_FALSE(
      samples_of(prometheus_text(fresh)).contains("keyvalue_cache_snapshot_file_age_seconds"));
}

TEST(prometheus_text, counts_requests_since_the_start) {
  EXPECT_EQ(value_of("gets_total{result=\"hit\"}"), 1003);
  EXPECT_EQ(value_of("gets_total{result=\"miss\"}"), 1011);
  EXPECT_EQ(value_of("puts_total{result=\"inserted\"}"), 1000);
  EXPECT_EQ(value_of("puts_total{result=\"precondition_failed\"}"), 1020);
  EXPECT_EQ(value_of("puts_total{result=\"no_room\"}"), 1030);
  EXPECT_EQ(value_of("deletes_total{result=\"deleted\"}"), 1190);
  EXPECT_EQ(value_of("deletes_total{result=\"not_found\"}"), 1200);
  EXPECT_EQ(value_of("flushes_total"), 1210);
  EXPECT_EQ(value_of("other_requests_total"), 1220);
  EXPECT_EQ(value_of("refused_requests_total{status=\"400\"}"), 2);
  EXPECT_EQ(value_of("refused_requests_total{status=\"405\"}"), 0);
  EXPECT_EQ(value_of("refused_requests_total{status=\"other\"}"), 1);
  EXPECT_EQ(value_of("received_bytes_total"), 1100);
  EXPECT_EQ(value_of("sent_bytes_total"), 1110);
}

TEST(prometheus_text, counts_every_response_by_operation_and_code) {
  EXPECT_EQ(value_of("requests_total{operation=\"get\",code=\"200\"}"), 1003);
  EXPECT_EQ(value_of("requests_total{operation=\"get\",code=\"404\"}"), 1011);
  EXPECT_EQ(value_of("requests_total{operation=\"get\",code=\"400\"}"), 2);
  EXPECT_EQ(value_of("requests_total{operation=\"put\",code=\"200\"}"), 2010);
  EXPECT_EQ(value_of("requests_total{operation=\"put\",code=\"503\"}"), 1);
  EXPECT_EQ(value_of("requests_total{operation=\"delete\",code=\"404\"}"), 1200);
  EXPECT_EQ(value_of("requests_total{operation=\"options\",code=\"204\"}"), 220);
  EXPECT_EQ(value_of("requests_total{operation=\"unknown\",code=\"404\"}"), 1);
  EXPECT_EQ(value_of("requests_total{operation=\"none\",code=\"other\"}"), 1);
  const service_snapshot sample = sample_snapshot();
  double sum = 0;
  for (const auto& [series, value] : samples_of(prometheus_text(sample)))
    if (series.starts_with("keyvalue_cache_requests_total{")) sum += value;
  EXPECT_EQ(sum, static_cast<double>(sample.counters.since_start.responses_sent()));
}

// A rate needs a first sample, but an error that never occurs needs no series.
TEST(prometheus_text, shows_ordinary_results_from_the_start_and_errors_once_they_occur) {
  service_snapshot fresh;
  fresh.counters.since_start.operations = sample_operations;
  const auto samples = samples_of(prometheus_text(fresh));
  const std::string name = "keyvalue_cache_requests_total{operation=";
  for (const char* const ordinary :
       {R"("get",code="200"})", R"("get",code="404"})", R"("put",code="200"})",
        R"("delete",code="404"})", R"("options",code="204"})", R"("metrics",code="200"})"})
    EXPECT_TRUE(samples.contains(name + ordinary)) << ordinary;
  for (const char* const error :
       {R"("get",code="400"})", R"("put",code="503"})", R"("none",code="400"})"})
    EXPECT_FALSE(samples.contains(name + error)) << error;
}

TEST(prometheus_text, reports_connections) {
  EXPECT_EQ(value_of("connections"), 0);
  EXPECT_EQ(value_of("max_connections"), 10000);
  EXPECT_EQ(value_of("connections_opened_total"), 1060);
  EXPECT_EQ(value_of("connections_refused_total"), 1080);
  EXPECT_EQ(value_of("connections_shed_total"), 1120);
  EXPECT_EQ(value_of("accept_failures_total"), 1090);
}

TEST(prometheus_text, reports_version_state_and_source_in_labels) {
  EXPECT_EQ(value_of("build_info{version=\"1.2.3\",revision=\"0123abcd\"}"), 1);
  EXPECT_EQ(value_of("log_lines_dropped_total"), 9'999);
  EXPECT_EQ(value_of("worker_threads"), 3);
  EXPECT_EQ(value_of("state{state=\"ready\"}"), 1);
  EXPECT_EQ(value_of("state{state=\"draining\"}"), 0);
  EXPECT_EQ(value_of("memory_source_info{source=\"cgroup v2 /sys/fs/cgroup/"
                     "\\\"odd\\\\name\\\"\\n\xef\xbf\xbd\"}"),
            1);
}

TEST(prometheus_text, contains_cumulative_buckets_that_end_in_the_count) {
  const auto samples = samples_of(prometheus_text(sample_snapshot()));
  const std::string name = "keyvalue_cache_request_duration_seconds";
  std::map<double, double> buckets;
  for (const auto& [series, value] : samples) {
    const std::string begin = name + "_bucket{operation=\"get\",le=\"";
    if (series.starts_with(begin)) buckets[std::stod(series.substr(begin.size()))] = value;
  }
  ASSERT_EQ(buckets.size(), 25U);
  double previous = 0;
  for (const auto& [bound, value] : buckets) {
    EXPECT_GE(value, previous) << bound;
    previous = value;
  }
  EXPECT_EQ(buckets[1024e-9], 0);
  EXPECT_EQ(buckets[16384e-9], 1);
  EXPECT_EQ(buckets[32768e-9], 99);
  EXPECT_EQ(buckets[4194304e-9], 101);
  EXPECT_EQ(buckets[std::numeric_limits<double>::infinity()], 101);
  EXPECT_EQ(samples.at(name + "_count{operation=\"get\"}"), 101);
  EXPECT_DOUBLE_EQ(samples.at(name + "_sum{operation=\"get\"}"), 98 * 20e-6 + 2 * 3e-3 + 15e-6);
  EXPECT_EQ(samples.at(name + "_count{operation=\"put\"}"), 10);
  EXPECT_NEAR(value_of("request_duration_max_seconds{operation=\"get\"}"), 15e-6, 1e-6);
}

TEST(prometheus_text, writes_one_help_and_one_type_line_before_the_samples_of_a_family) {
  std::set<std::string> helped;
  std::set<std::string> typed;
  std::string current;
  std::istringstream lines{prometheus_text(sample_snapshot())};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string hash;
    std::string kind;
    std::string name;
    words >> hash >> kind >> name;
    if (line.starts_with("# HELP ")) {
      EXPECT_TRUE(helped.insert(name).second) << name;
      current = name;
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(typed.insert(name).second) << name;
      EXPECT_EQ(name, current);
    } else {
      EXPECT_TRUE(line.starts_with(current)) << line;
    }
  }
  EXPECT_EQ(helped, typed);
  EXPECT_GT(helped.size(), 30U);
}

// Series whose labels depend on the program and its history.
bool depends_on_history(const std::string& series) {
  return series.starts_with("keyvalue_cache_build_info") ||
         series.starts_with("keyvalue_cache_requests_total") ||
         series == "keyvalue_cache_snapshot_file_age_seconds" ||
         series.find("source_info") != std::string::npos;
}

TEST(prometheus_text, contains_the_same_series_before_the_first_request) {
  std::set<std::string> first;
  std::set<std::string> later;
  for (const auto& [series, value] : samples_of(prometheus_text(service_snapshot{})))
    if (!depends_on_history(series)) first.insert(series);
  for (const auto& [series, value] : samples_of(prometheus_text(sample_snapshot())))
    if (!depends_on_history(series)) later.insert(series);
  EXPECT_EQ(first, later);
}

TEST(prometheus_text, ends_each_line_with_a_line_feed) {
  const std::string text = prometheus_text(service_snapshot{});
  EXPECT_TRUE(text.ends_with('\n'));
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find("\n\n"), std::string::npos);
}

} // namespace
} // namespace kvcache::observe
