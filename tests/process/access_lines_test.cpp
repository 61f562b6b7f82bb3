#include "process/access_lines.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/base_sink.h>

#include <chrono>
#include <memory>
#include <regex>
#include <string>
#include <vector>

namespace kvcache::config {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// REQUIRES, for reading the lines: the writer is destroyed.
struct kept_lines final : spdlog::sinks::base_sink<spdlog::details::null_mutex> {
  std::vector<std::string> lines;

  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    lines.emplace_back(line.data(), line.size());
  }
  void flush_() override {}
};

std::string line_of(log_format format, const http::access_record& record) {
  const auto sink = std::make_shared<kept_lines>();
  { access_lines{format, sink}.write(record); }
  EXPECT_EQ(sink->lines.size(), 1U);
  return sink->lines.empty() ? "" : sink->lines.front();
}

http::access_record a_hit() {
  return {"127.0.0.1:40000", http::method::get, "/get", 200, 181, 12'345ns};
}

TEST(access_lines, have_the_documented_text_format) {
  const std::regex whole{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info  access )"
                         R"(127\.0\.0\.1:40000 GET /get 200 181 bytes 12\.3 us\n)"};
  const std::string line = line_of(log_format::text, a_hit());
  EXPECT_TRUE(std::regex_match(line, whole)) << line;
}

TEST(access_lines, are_one_json_object_each) {
  const std::string line = line_of(log_format::json, a_hit());
  EXPECT_TRUE(line.ends_with("}\n"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  json object = json::parse(line);
  EXPECT_TRUE(std::regex_match(object["time"].get<std::string>(),
                               std::regex{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"}));
  object.erase("time");
  EXPECT_EQ(object, json::parse(R"({"level":"info","message":"access","peer":"127.0.0.1:40000",
    "method":"GET","path":"/get","status":200,"sent_bytes":181,"duration_us":12.3})"));
}

TEST(access_lines, show_unknown_methods_and_paths_as_absent) {
  const http::access_record nothing{{}, http::method::other, {}, 400, 120, std::nullopt};
  const std::string text = line_of(log_format::text, nothing);
  EXPECT_NE(text.find(" access - - - 400 120 bytes -\n"), std::string::npos) << text;
  const json object = json::parse(line_of(log_format::json, nothing));
  for (const char* name : {"peer", "method", "path", "duration_us"})
    EXPECT_TRUE(object.at(name).is_null()) << name;
}

TEST(access_lines, show_the_name_of_each_method) {
  for (const auto& [verb, name] : {std::pair{http::method::get, "GET"},
                                   {http::method::head, "HEAD"},
                                   {http::method::post, "POST"},
                                   {http::method::options, "OPTIONS"}}) {
    http::access_record record = a_hit();
    record.verb = verb;
    EXPECT_EQ(json::parse(line_of(log_format::json, record))["method"], name);
  }
}

TEST(access_lines, are_all_written_before_destruction_if_the_queue_does_not_overflow) {
  const auto sink = std::make_shared<kept_lines>();
  {
    access_lines log{log_format::text, sink};
    for (std::size_t i = 0; i < access_lines::queue_lines; ++i) log.write(a_hit());
    EXPECT_EQ(log.dropped_lines(), 0U);
  }
  EXPECT_EQ(sink->lines.size(), access_lines::queue_lines);
}

} // namespace
} // namespace kvcache::config
