// The access log of the real program, and that it contains no key.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/running_program.hpp"
#include "support/raw_client.hpp"

namespace kvcache::tests {
namespace {

using test::get_request;
using test::post_request;
using test::put_request;
using test::raw_client;

// Sends each request on its own connection, and returns the log of the program.
std::string log_of(const std::vector<std::string>& options,
                   const std::vector<std::string>& requests) {
  std::vector<std::string> arguments{"--port=0", "--threads=1", "--enable-flush"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  running_program program{arguments};
  const std::uint16_t port = program.wait_for_port();
  for (const std::string& request : requests) raw_client{port}.ask(request);
  program.send_signal(SIGTERM);
  return program.read_to_end();
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
    ++found;
  return found;
}

const std::string hosted = " HTTP/1.1\r\nHost: localhost\r\n";

// Requests with a key or a value, s3cr3t, in every place where a client may put one, correctly or
// not.
std::vector<std::string> telling_requests() {
  return {
      put_request("s3cr3t", "s3cr3t"),
      get_request("/get?key=s3cr3t"),
      get_request("/get?key=s3cr3t#s3cr3t"),
      get_request("http://s3cr3t/get?key=s3cr3t"),
      get_request("/get?key=%s3cr3t"),
      get_request("/get/s3cr3t"),
      get_request("/s3cr3t"),
      get_request("/get%3Fkey=s3cr3t"),
      get_request("/stats?s3cr3t"),
      post_request("/get?key=s3cr3t", "s3cr3t"),
      post_request("/put", "s3cr3t"),
      post_request("/put", R"({"key":"s3cr3t","value":1})"),
      post_request("/put", R"({"key":")" + std::string(300, 'x') + R"(","value":"s3cr3t"})"),
      post_request("/delete", R"({"key":"s3cr3t"})"),
      post_request("/flush", "s3cr3t"),
      get_request("/get?key=a", "Authorization: Bearer s3cr3t\r\n"),
      get_request("/get?key=a", "Origin: s3cr3t\r\nX-Key: s3cr3t\r\n"),
      "s3cr3t /get?key=s3cr3t" + hosted + "\r\n",
      "GET s3cr3t" + hosted + "\r\n",
      "GET /get?key=s3cr3t HTTP/s3cr3t\r\n\r\n",
      "GET /get?key=s3cr3t" + hosted + "s3cr3t\r\n\r\n",
      "s3cr3t\r\n\r\n",
      "GET /get?key=" + std::string(9000, 'x') + "s3cr3t" + hosted + "\r\n",
      "POST /put" + hosted + "Content-Length: s3cr3t\r\n\r\n",
  };
}

TEST(access_log, never_contains_a_key_or_a_value) {
  const auto requests = telling_requests();
  for (const std::string format : {"text", "json"}) {
    const std::string log =
        log_of({"--access-log", "--log-level=info", "--log-format=" + format}, requests);
    EXPECT_EQ(log.find("s3cr3t"), std::string::npos) << log;
    EXPECT_EQ(count(log, "access"), requests.size()) << log;
  }
}

TEST(access_log, consists_of_printable_lines_for_any_request) {
  const std::string nasty = "\x1b[2J\x07\xff\n\"\\";
  const std::string log = log_of({"--access-log", "--log-format=json"},
                                 {get_request("/" + nasty), nasty + " /put" + hosted + "\r\n",
                                  get_request("/get?key=a", "Origin: " + nasty + "\r\n")});
  std::istringstream lines{log};
  std::size_t accesses = 0;
  for (std::string line; std::getline(lines, line);) {
    for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << line;
    if (nlohmann::json::parse(line)["message"] == "access") ++accesses;
  }
  EXPECT_EQ(accesses, 3U);
}

TEST(access_log, is_off_by_default) {
  EXPECT_EQ(log_of({}, {get_request("/healthz")}).find("access"), std::string::npos);
}

TEST(access_log, contains_a_sample_of_requests_if_configured) {
  const std::vector<std::string> requests(10, get_request("/get?key=a"));
  const std::string log = log_of({"--access-log", "--access-log-sample=5"}, requests);
  EXPECT_EQ(count(log, " GET /get 404 "), 2U) << log;
}

} // namespace
} // namespace kvcache::tests
