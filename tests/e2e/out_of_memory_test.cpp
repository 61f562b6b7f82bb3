// The program where the kernel gives it no more memory: each request gets an answer or a closed
// connection, and nothing but a signal ends the program.
//
// tests/http/server_allocation_test.cpp lets each allocation of the server fail by itself. Here it
// is the whole program, with the pages, tokens and logs that other rooms make.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "e2e/binary.hpp"
#include "e2e/token_file.hpp"

#ifndef KVCACHE_SANITIZED // an instrumented program ends where it gets no memory

namespace kvcache::test {
namespace {

// While there is one, the process gets no memory from the kernel beside what it has.
class no_more_memory {
public:
  explicit no_more_memory(pid_t pid) : pid_(pid) {
    ::prlimit(pid_, RLIMIT_AS, nullptr, &before_);
    const rlimit none{4096, before_.rlim_max};
    if (::prlimit(pid_, RLIMIT_AS, &none, nullptr) != 0) throw std::runtime_error{"prlimit"};
  }
  ~no_more_memory() { ::prlimit(pid_, RLIMIT_AS, &before_, nullptr); }
  no_more_memory(const no_more_memory&) = delete;
  no_more_memory& operator=(const no_more_memory&) = delete;

private:
  const pid_t pid_;
  rlimit before_{};
};

TEST(out_of_memory, leaves_the_tokens_as_they_were_where_a_new_list_does_not_fit) {
  token_file tokens{"read-only old\n"};
  running_server server{{"--auth-token-file", tokens.path()}};
  std::string many; // more than the heap can have left over from the start, in a legal file
  for (int i = 0; i < 5000; ++i) many += "read-only n\n";
  tokens.write(many);
  {
    const no_more_memory cap{server.pid()};
    server.signal(SIGHUP);
    EXPECT_TRUE(comes_to_say(server, "the tokens stay as they were")) << server.output();
  }
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("old"))).status, 404U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("n"))).status, 401U);
  server.signal(SIGHUP);
  EXPECT_TRUE(comes_to_say(server, "tokens in force from " + tokens.path() + ": 5000"))
      << server.output();
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("n"))).status, 404U);
}

TEST(out_of_memory, still_ends_with_exit_code_0_on_sigterm) {
  running_server server{{"--threads", "2"}};
  EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
  const no_more_memory cap{server.pid()};
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait().exit_code, 0);
}

// The statuses of the replies to all of it, sent on connections of their own and in one go; 0 for
// a connection that was closed without one.
std::set<unsigned> statuses_of(const server_process& server,
                               const std::vector<std::string>& requests) {
  std::set<unsigned> statuses;
  std::vector<raw_client> clients; // all at once, so that memory that is given back is not enough
  for (const std::string& request : requests) {
    clients.push_back(server.connect());
    clients.back().send(request);
  }
  for (raw_client& client : clients) {
    try {
      statuses.insert(client.read_reply().status);
    } catch (const std::exception&) {
      statuses.insert(0);
    }
  }
  return statuses;
}

TEST(out_of_memory, answers_or_closes_whatever_is_asked_for_and_goes_on_serving_afterwards) {
  constexpr std::size_t value_chars = 200'000;
  const token_file tokens{"read-only reader\nread-write writer\n"};
  running_server server{{"--auth-token-file", tokens.path(), "--access-log", "--threads", "2",
                         "--max-value-chars", std::to_string(value_chars), "--log-format", "json"}};
  const std::string writer = with_token("writer");
  const std::string value(value_chars, 'v');
  std::vector<std::string> requests;
  for (int i = 0; i < 20; ++i) {
    const std::string key = "key" + std::to_string(i);
    requests.insert(
        requests.end(),
        {get_request("/stats", writer), get_request("/metrics", writer),
         get_request("/openapi.json"), get_request("/healthz"), get_request("/stats"),
         get_request("/get?key=" + key, with_token("reader")),
         post_request("/put", R"({"key":")" + key + R"(","value":")" + value + R"("})", writer),
         post_request("/put",
                      R"({"key":")" + key + R"(","value":"\u00e9)" + value.substr(1) + R"("})",
                      writer),
         post_request("/delete", R"({"key":")" + key + R"("})", writer),
         post_request("/flush", "", writer)});
  }
  {
    const no_more_memory cap{server.pid()};
    std::set<unsigned> statuses;
    for (int round = 0; round < 3; ++round) {
      statuses.merge(statuses_of(server, requests));
      server.signal(SIGHUP);
    }
    const std::set<unsigned> expected{0, 200, 401, 404, 503, 507};
    for (const unsigned status : statuses) EXPECT_TRUE(expected.contains(status)) << status;
    const std::set<unsigned> for_want_of_memory{0, 503, 507};
    bool felt = false;
    for (const unsigned status : for_want_of_memory) felt = felt || statuses.contains(status);
    EXPECT_TRUE(felt) << "there was memory enough: this tests nothing";
  }
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(post_request("/put", R"({"key":"a","value":"after"})", writer)).status,
            200U);
  EXPECT_NE(client.ask(get_request("/get?key=a", writer)).body.find("after"), std::string::npos);
  for (const char* page : {"/stats", "/metrics", "/openapi.json"})
    EXPECT_EQ(client.ask(get_request(page, writer)).status, 200U) << page;
  server.signal(SIGTERM);
  const program_end end = server.wait();
  EXPECT_EQ(end.exit_code, 0);
  for (const char* secret : {"reader", "writer"})
    EXPECT_EQ(end.output.find(secret), std::string::npos) << secret;
}

} // namespace
} // namespace kvcache::test

#endif
