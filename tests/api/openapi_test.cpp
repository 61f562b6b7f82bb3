#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/endpoint_table.hpp"
#include "report/sample_snapshot.hpp"
#include "report/stats_json.hpp"

namespace kvcache::observe {
namespace {

using nlohmann::json;

const json& document() {
  static const json parsed = json::parse(http::product_endpoints.openapi);
  return parsed;
}

json resolved(const json& schema) {
  if (!schema.contains("$ref")) return schema;
  const auto reference = schema["$ref"].get<std::string>();
  return document().at(json::json_pointer{reference.substr(1)});
}

// Each member of `value` is in `schema`, as required, and the other way round.
void expect_same_members(const json& value, const json& schema_or_reference,
                         const std::string& at) {
  if (at == "stats/configuration") return; // the options': tests/config/option_lists_test.cpp
  const json schema = resolved(schema_or_reference);
  if (!value.is_object() || schema.contains("additionalProperties")) return;
  std::set<std::string> members;
  for (const auto& [name, member] : value.items()) {
    members.insert(name);
    ASSERT_TRUE(schema["properties"].contains(name)) << at << '/' << name;
    expect_same_members(member, schema["properties"][name],
                        std::string{at}.append("/").append(name));
  }
  EXPECT_EQ(members, schema["required"].get<std::set<std::string>>()) << at;
  EXPECT_EQ(members.size(), schema["properties"].size()) << at;
}

TEST(openapi, is_a_document_of_this_version) {
  EXPECT_EQ(document()["openapi"], "3.1.0");
  EXPECT_EQ(document()["info"]["version"], KVCACHE_VERSION);
  EXPECT_EQ(http::product_endpoints.openapi.find("@PROJECT"), std::string_view::npos);
}

TEST(openapi, is_plain_ascii_without_line_breaks) {
  const std::string_view text = http::product_endpoints.openapi;
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
}

TEST(openapi, documents_every_endpoint) {
  std::set<std::string> paths;
  for (const auto& [path, operations] : document()["paths"].items()) paths.insert(path);
  EXPECT_EQ(paths, (std::set<std::string>{"/", "/put", "/get", "/kv/{key}", "/batch", "/delete",
                                          "/flush", "/snapshot", "/stats", "/metrics", "/healthz",
                                          "/readyz", "/openapi.json"}));
}

TEST(openapi, has_a_description_and_an_example_of_every_response) {
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, operation] : operations.items())
      for (const auto& [status, answer] : operation["responses"].items()) {
        const json response = resolved(answer);
        EXPECT_TRUE(response.contains("description")) << path << ' ' << status;
        if (!response.contains("content")) continue; // 304
        for (const auto& [type, content] : response["content"].items())
          EXPECT_FALSE(content["examples"].empty()) << path << ' ' << status;
      }
}

TEST(openapi, documents_the_statistics_member_by_member) {
  expect_same_members(json::parse(stats_json(sample_snapshot())),
                      document()["components"]["schemas"]["Stats"], "stats");
}

// Descriptions of the plain members of a schema, by name; objects are looked into.
void expect_descriptions_of_their_own(const json& schema, const std::string& at) {
  std::set<std::string> seen;
  for (const auto& [name, member] : schema["properties"].items()) {
    const std::string path = std::string{at}.append("/").append(name);
    if (member.contains("properties")) expect_descriptions_of_their_own(member, path);
    if (!member.contains("description")) continue;
    EXPECT_TRUE(seen.insert(member["description"].get<std::string>()).second) << path;
  }
}

TEST(openapi, describes_no_two_statistics_alike) {
  for (const char* name : {"Stats", "Counts", "Latency", "EvictionsByCause", "DeparturesByCause"})
    expect_descriptions_of_their_own(document()["components"]["schemas"][name], name);
}

TEST(openapi, describes_every_number_of_the_statistics) {
  const auto expect_described = [](const auto& self, const json& schema,
                                   const std::string& at) -> void {
    for (const auto& [name, member] : schema["properties"].items()) {
      const std::string path = std::string{at}.append("/").append(name);
      if (member.contains("properties")) self(self, member, path);
      const bool number =
          member.contains("type") && (member["type"] == "integer" || member["type"] == "number");
      EXPECT_TRUE(!number || member.contains("description")) << path;
    }
  };
  for (const char* name : {"Stats", "Counts", "Latency", "EvictionsByCause", "DeparturesByCause"})
    expect_described(expect_described, document()["components"]["schemas"][name], name);
}

TEST(openapi, shows_the_current_statistics) {
  const json& example = document()["paths"]["/stats"]["get"]["responses"]["200"]["content"]
                                  ["application/json"]["examples"]["stats"]["value"];
  expect_same_members(example, document()["components"]["schemas"]["Stats"], "example");
}

TEST(openapi, shows_only_possible_latencies) {
  const json& example = document()["paths"]["/stats"]["get"]["responses"]["200"]["content"]
                                  ["application/json"]["examples"]["stats"]["value"];
  for (const char* time : {"since_start", "last_minute"})
    for (const char* operation : {"get_latency_us", "put_latency_us"}) {
      double previous = 0;
      for (const char* quantile : {"p50", "p90", "p99", "p999", "max"}) {
        const double shown = example[time][operation][quantile].get<double>();
        EXPECT_GE(shown, previous) << time << ' ' << operation << ' ' << quantile;
        previous = shown;
      }
    }
}

TEST(openapi, documents_only_statuses_that_are_counted) {
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, operation] : operations.items())
      for (const auto& [status, answer] : operation["responses"].items()) {
        if (status == "200") continue;
        EXPECT_NE(status_slot(static_cast<unsigned>(std::stoul(status))), response_statuses.size())
            << path << ' ' << status;
      }
}

} // namespace
} // namespace kvcache::observe
