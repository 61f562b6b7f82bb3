// The API document and the server's own tables say the same: of routes, and of refusals. (That the
// server keeps to the document on the wire is tests/observe/openapi_contract_test.py's part.)
#include "observe/openapi.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <utility>

#include "http/fault.hpp"
#include "http/router.hpp"

namespace kvcache::daemon {
namespace {

using nlohmann::json;

const json& document() {
  static const json parsed = json::parse(observe::openapi_json());
  return parsed;
}

json resolved(const json& part) {
  if (!part.contains("$ref")) return part;
  return resolved(document().at(json::json_pointer{part["$ref"].get<std::string>().substr(1)}));
}

// "post /put", and what it takes to be let in.
using operation = std::pair<std::string, http::permission>;

http::permission documented_permission(const json& described) {
  const json& answers = described["responses"];
  if (!answers.contains("401")) return http::permission::none;
  return answers.contains("403") ? http::permission::write : http::permission::read;
}

TEST(openapi, documents_the_routes_of_the_router_no_more_no_less) {
  std::set<operation> documented;
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, described] : operations.items())
      documented.emplace(method + " " + path, documented_permission(described));
  std::set<operation> routed;
  for (const http::route& route : http::routes()) {
    const std::string method = route.verb == http::method::get ? "get " : "post ";
    routed.emplace(method + std::string{route.path}, route.needs);
  }
  EXPECT_EQ(documented, routed);
}

// Status and message.
using told = std::pair<unsigned, std::string>;

std::set<told> documented_refusals() {
  std::set<told> all;
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, described] : operations.items())
      for (const auto& [status, answer] : described["responses"].items()) {
        if (status == "200") continue;
        const json response = resolved(answer);
        for (const auto& [type, content] : response["content"].items())
          for (const auto& [name, example] : content["examples"].items()) {
            const json shown = resolved(example);
            all.emplace(std::stoul(status), shown["value"]["message"].get<std::string>());
          }
      }
  return all;
}

TEST(openapi, documents_every_status_there_is_and_only_messages_that_there_are) {
  const http::fault_table faults{http::http_limits{}};
  std::set<told> possible;
  std::set<unsigned> statuses;
  for (std::size_t i = 1; i < http::fault_count; ++i) {
    const auto code = static_cast<http::fault>(i);
    if (code == http::fault::precondition_failed) continue; // conditional writes are not offered
    possible.emplace(faults[code].status, std::string{faults[code].message});
    statuses.insert(faults[code].status);
  }
  std::set<unsigned> documented_statuses;
  for (const told& refusal : documented_refusals()) {
    EXPECT_TRUE(possible.contains(refusal)) << refusal.first << ' ' << refusal.second;
    documented_statuses.insert(refusal.first);
  }
  EXPECT_EQ(documented_statuses, statuses);
}

} // namespace
} // namespace kvcache::daemon
