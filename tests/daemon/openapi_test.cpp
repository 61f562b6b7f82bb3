// The API document lists the routes and errors of the server's tables. (Whether the server follows
// the document on the wire is checked by tests/api/openapi_contract_test.py.)
#include "api/endpoint_table.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "http/fault.hpp"

namespace kvcache::daemon {
namespace {

using nlohmann::json;

const json& document() {
  static const json parsed = json::parse(http::product_endpoints.openapi);
  return parsed;
}

json resolved(const json& part) {
  if (!part.contains("$ref")) return part;
  return resolved(document().at(json::json_pointer{part["$ref"].get<std::string>().substr(1)}));
}

// "post /put", and the most permission it needs.
using operation = std::pair<std::string, http::permission>;

http::permission documented_permission(const json& described) {
  const json& answers = described["responses"];
  if (!answers.contains("401")) return http::permission::none;
  return answers.contains("403") ? http::permission::write : http::permission::read;
}

TEST(openapi, documents_exactly_the_routes_of_the_router) {
  std::set<operation> documented;
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, described] : operations.items())
      documented.emplace(method + " " + path, documented_permission(described));
  std::set<operation> routed;
  const http::endpoint_table endpoints{http::product_endpoints};
  for (const http::route& route : endpoints.routes()) {
    std::string method{http::name_of(route.to->verb)};
    std::ranges::transform(method, method.begin(),
                           [](char c) { return static_cast<char>(std::tolower(c)); });
    routed.emplace(method + " " + std::string{route.path},
                   route.to->changes_entries ? http::permission::write : route.to->needs);
  }
  EXPECT_EQ(documented, routed);
}

using status_and_message = std::pair<unsigned, std::string>;

// The same without the place of the fault in a batch.
std::string without_place(const std::string& message) {
  return std::regex_replace(message, std::regex{R"(^ops\[[0-9]+\](\.[a-z_0-9]+)?: )"}, "");
}

std::set<status_and_message> documented_refusals() {
  std::set<status_and_message> all;
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, described] : operations.items())
      for (const auto& [status, answer] : described["responses"].items()) {
        if (status < "304" || status == "304") continue;
        const json response = resolved(answer);
        for (const auto& [type, content] : response["content"].items())
          for (const auto& [name, example] : content["examples"].items()) {
            const json shown = resolved(example);
            all.emplace(std::stoul(status),
                        without_place(shown["value"]["message"].get<std::string>()));
          }
      }
  return all;
}

// Errors that no documented operation returns. All others must be in the document.
constexpr http::fault never_documented[] = {
    // The limits on requests are far below the limits of the cache.
    http::fault::entry_too_large, http::fault::beyond_memory,
    // So is the limit on batches below that on values.
    http::fault::base64_value_too_long,
    http::fault::batch_response_full, // in a result only
};

// What stands for '#' in the examples, in messages that name something.
std::string named(http::fault code, std::string message) {
  const std::map<http::fault, std::string_view> names{
      {http::fault::unknown_parameter, "key"},
      {http::fault::snapshot_failed, "No such file or directory"},
      {http::fault::still_loading, "40 %"}};
  if (names.contains(code)) message.replace(message.find('#'), 1, names.at(code));
  return message;
}

std::set<status_and_message> possible_refusals() {
  const http::fault_table faults{http::http_limits{}};
  std::set<status_and_message> all;
  for (std::size_t i = 1; i < http::fault_count; ++i) {
    const auto code = static_cast<http::fault>(i);
    if (std::ranges::find(never_documented, code) != std::end(never_documented)) continue;
    all.emplace(faults[code].status, named(code, std::string{faults[code].message}));
  }
  return all;
}

TEST(openapi, documents_exactly_the_possible_errors) {
  const std::set<status_and_message> possible = possible_refusals();
  const std::set<status_and_message> documented = documented_refusals();
  for (const auto& [status, message] : possible)
    EXPECT_TRUE(documented.contains({status, message})) << "missing: " << status << ' ' << message;
  for (const auto& [status, message] : documented)
    EXPECT_TRUE(possible.contains({status, message})) << "impossible: " << status << ' ' << message;
}

TEST(openapi, states_that_an_unlisted_path_is_not_found) {
  const auto description = document()["info"]["description"].get<std::string>();
  EXPECT_NE(description.find("The response to a path that is not listed here is 404"),
            std::string::npos);
}

} // namespace
} // namespace kvcache::daemon
