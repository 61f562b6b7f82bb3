// What follows from an endpoint's descriptor: an endpoint that is defined in one file (probe.cpp)
// is routed, refused, counted, logged and documented like those of the product.
#include "api/endpoint.hpp"

#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/endpoint_table.hpp"
#include "server/access_log.hpp"
#include "support/test_server.hpp"

namespace kvcache::http {

extern const endpoint_set probe_set; // the product's endpoints and the probe

namespace {

using test::get_request;
using test::http_reply;
using test::raw_client;
using test::test_server;

std::string put_probe(const std::string& path, const std::string& body,
                      const std::string& fields = {}) {
  return "PUT " + path + " HTTP/1.1\r\nHost: a\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(added_endpoint, is_routed_with_its_variable_and_its_body_of_any_bytes) {
  test_server server{{}, {}, probe_set};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(put_probe("/probe/a", "b")).body, "\"a b\"");
  EXPECT_EQ(client.ask(put_probe("/probe/a/%20", {"\0\xff", 2})).body,
            (std::string{"\"a/%20 \0\xff\"", 10}));
  EXPECT_EQ(client.ask(put_probe("/probe/", "")).body, "\" \"");
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U); // the others are still there
}

TEST(added_endpoint, responds_with_bytes_and_their_length) {
  test_server server{{}, {}, probe_set};
  raw_client client = server.connect();
  for (const std::size_t bytes : {0U, 1U, 1024U, 10'000U}) {
    const std::string body(bytes, '\xff');
    const http_reply response = client.ask(put_probe("/probe/a", body));
    EXPECT_EQ(response.body, "\"a " + body + "\"");
    EXPECT_EQ(response.field("content-type"), "application/octet-stream");
    EXPECT_EQ(response.field("content-length"), std::to_string(response.body.size()));
  }
}

// The first two requests of a connection are parsed, the others are recognised.
TEST(added_endpoint, is_served_alike_whether_its_head_is_parsed_or_recognised) {
  const token_authorizer tokens{{{"writer", permission::write}}};
  server_services services;
  services.authorization = &tokens;
  test_server server{{}, services, probe_set};
  raw_client client = server.connect();
  const std::string writer = "Authorization: Bearer writer\r\n";
  for (const std::string_view name : {"a", "b", "longer/name", "%41?x=y", "", "d#e", "f"}) {
    const std::string path = "/probe/" + std::string{name};
    const std::string shown{name.substr(0, name.find_first_of("?#"))};
    EXPECT_EQ(client.ask(put_probe(path, "1", writer)).body, "\"" + shown + " 1\"");
  }
  EXPECT_EQ(client.ask(put_probe("/probe/a", "1")).status, 401U);
  EXPECT_EQ(client.ask(put_probe("/probe/b", "1", "Authorization: Bearer other\r\n")).status, 401U);
  EXPECT_EQ(client.ask(put_probe("/prober/b", "1", writer)).status, 404U);
  EXPECT_EQ(client.ask(put_probe("/probe", "1", writer)).status, 404U);
  EXPECT_EQ(client.ask(put_probe("/probe/c", "1", writer)).status, 200U);
}

TEST(added_endpoint, is_refused_like_the_others) {
  const token_authorizer tokens{{{"reader", permission::read}, {"writer", permission::write}}};
  server_services services;
  services.authorization = &tokens;
  server_options options;
  options.allowed_hosts = {"a"};
  test_server server{options, services, probe_set};
  raw_client client = server.connect();
  const std::string writer = "Authorization: Bearer writer\r\n";
  EXPECT_EQ(client.ask(put_probe("/probe/a", "b", writer)).status, 200U);
  EXPECT_EQ(client.ask(put_probe("/probe/a", "b")).status, 401U);
  EXPECT_EQ(client.ask(put_probe("/probe/a", "b", "Authorization: Bearer reader\r\n")).status,
            403U);
  EXPECT_EQ(
      client.ask(put_probe("/probe/a", "b", writer + "Sec-Fetch-Site: cross-site\r\n")).status,
      403U);
  EXPECT_EQ(client.ask(put_probe("/probe/a", "b", writer + "Content-Encoding: gzip\r\n")).status,
            415U);
  EXPECT_EQ(client.ask("PUT /probe/a HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n").status,
            421U);
  const http_reply without_length =
      client.ask("PUT /probe/a HTTP/1.1\r\nHost: a\r\n" + writer + "\r\n");
  EXPECT_EQ(without_length.status, 411U);
}

TEST(added_endpoint, is_the_only_method_that_its_path_allows) {
  test_server server{{}, {}, probe_set};
  raw_client client = server.connect();
  const http_reply refused = client.ask(get_request("/probe/a"));
  EXPECT_EQ(refused.status, 405U);
  EXPECT_EQ(refused.field("allow"), "PUT, OPTIONS");
  const http_reply options = client.ask("OPTIONS /probe/a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(options.status, 204U);
  EXPECT_EQ(options.field("allow"), "PUT, OPTIONS");
  EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").field("allow"),
            "GET, HEAD, POST, PUT, DELETE, OPTIONS");
}

TEST(added_endpoint, is_counted_under_its_operation) {
  test_server server{{}, {}, probe_set};
  raw_client client = server.connect();
  client.ask(put_probe("/probe/a", "b"));
  client.ask(put_probe("/probe/c", "d"));
  client.ask(get_request("/probe/a"));
  EXPECT_EQ(server.responses("probe", 200), 2U);
  EXPECT_EQ(server.responses("probe", 405), 1U);
}

class paths_log final : public access_log {
public:
  void write(const access_record& record) noexcept override {
    const std::scoped_lock lock{mutex_};
    lines_.push_back(std::string{name_of(record.verb)} + " " + std::string{record.path});
  }
  std::vector<std::string> lines() const {
    const std::scoped_lock lock{mutex_};
    return lines_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST(added_endpoint, is_logged_with_the_name_of_its_variable_and_never_the_value) {
  paths_log log;
  server_services services;
  services.access = &log;
  {
    test_server server{{}, services, probe_set};
    raw_client client = server.connect();
    client.ask(put_probe("/probe/secret", "b"));
    client.ask(get_request("/probe/secret"));
  }
  EXPECT_EQ(log.lines(), (std::vector<std::string>{"PUT /probe/{name}", "GET /probe/{name}"}));
}

TEST(added_endpoint, is_documented_with_the_others) {
  test_server server{{}, {}, probe_set};
  const auto document =
      nlohmann::json::parse(server.connect().ask(get_request("/openapi.json")).body);
  EXPECT_EQ(document["paths"]["/probe/{name}"]["put"]["operationId"], "probe");
  EXPECT_TRUE(document["paths"].contains("/get"));
  EXPECT_NE(probe_set.openapi_tag, product_endpoints.openapi_tag);
}

handled nothing(exchange&) { return handled::go_on; }

void expect_rejected(const std::vector<endpoint>& endpoints) {
  const endpoint_group group{endpoints};
  const endpoint_group* groups[] = {&group};
  const endpoint_set set{groups, {}, {}};
  EXPECT_THROW(endpoint_table{set}, std::invalid_argument) << endpoints.front().path;
}

endpoint named(std::string_view path, method verb, std::string_view operation) {
  endpoint made;
  made.path = path;
  made.verb = verb;
  made.operation = {operation};
  made.handle = nothing;
  return made;
}

TEST(endpoint_table, knows_which_paths_with_a_variable_belong_to_one_route) {
  const auto fixed_bytes = [](const std::vector<endpoint>& endpoints) {
    const endpoint_group group{endpoints};
    const endpoint_group* groups[] = {&group};
    const endpoint_set set{groups, {}, {}};
    return endpoint_table{set}.routes().front().fixed_path_bytes;
  };
  const endpoint variable = named("/a/{b}", method::get, "a");
  EXPECT_EQ(fixed_bytes({variable}), 3U);
  EXPECT_EQ(fixed_bytes({variable, named("/a/{b}", method::put, "b")}), 3U);
  EXPECT_EQ(fixed_bytes({variable, named("/a", method::get, "b")}), 3U);
  EXPECT_EQ(fixed_bytes({variable, named("/a/c", method::get, "b")}), 0U);
  EXPECT_EQ(fixed_bytes({variable, named("/a/c/{d}", method::get, "b")}), 0U);
  EXPECT_EQ(fixed_bytes({named("/a", method::get, "a")}), 0U);
}

TEST(endpoint_table, rejects_descriptors_that_contradict_each_other) {
  expect_rejected({named("/a", method::get, "a"), named("/a", method::get, "b")});
  expect_rejected({named("/a", method::get, "a"), named("/b", method::get, "a")});
  expect_rejected({named("/a", method::get, "none")});
  expect_rejected({named("/a", method::head, "a")});
  expect_rejected({named("a", method::get, "a")});
  expect_rejected({named("/{a}/b", method::get, "a")});
  expect_rejected({named("/a{b}", method::get, "a")});
}

} // namespace

} // namespace kvcache::http
