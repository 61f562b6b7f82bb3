// The program without further memory from the kernel: each request gets a response or a closed
// connection, and only a signal ends the program.
//
// tests/server/server_allocation_test.cpp fails each allocation of the server separately. Here it
// is the whole program, with the pages, tokens and logs of other layers.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "e2e/binary.hpp"
#include "e2e/token_file.hpp"

#ifndef KVCACHE_SANITIZED // an instrumented program ends without memory

namespace kvcache::test {
namespace {

// While it exists, the process gets no further memory from the kernel.
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

TEST(out_of_memory, keeps_the_tokens_if_a_new_list_does_not_fit_into_memory) {
  token_file tokens{"read-only old\n"};
  running_server server{{"--auth-token-file", tokens.path()}};
  std::string many; // more than the free part of the heap, in a valid file
  for (int i = 0; i < 5000; ++i) many += "read-only n\n";
  tokens.write(many);
  {
    const no_more_memory cap{server.pid()};
    server.signal(SIGHUP);
    EXPECT_TRUE(logs_within_patience(server, "tokens unchanged")) << server.output();
  }
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("old"))).status, 404U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("n"))).status, 401U);
  server.signal(SIGHUP);
  EXPECT_TRUE(logs_within_patience(server, "tokens in force from " + tokens.path() + ": 5000"))
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

// The statuses of the responses to all requests, each sent on its own connection at the same time;
// 0 for a connection closed without a response.
std::set<unsigned> statuses_of(const server_process& server,
                               const std::vector<std::string>& requests) {
  std::set<unsigned> statuses;
  std::vector<raw_client> clients; // at the same time, so that returned memory does not suffice
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

TEST(out_of_memory, responds_or_closes_and_continues_to_serve_afterwards) {
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

// ---- new keys with less memory than they need ---------------------------------------------------

struct put_counts {
  std::size_t stored = 0;
  std::size_t refused = 0; // for lack of memory
  std::size_t other = 0;
};

put_counts put_new_keys(raw_client& client, std::size_t count, std::size_t value_chars) {
  constexpr std::size_t batch = 50;
  const std::string value(value_chars, 'v');
  put_counts counts;
  for (std::size_t at = 0; at < count; at += batch) {
    std::string requests;
    for (std::size_t i = at; i < at + batch; ++i)
      requests += put_request("key" + std::to_string(i), value);
    client.send(requests);
    for (std::size_t i = 0; i < batch; ++i) {
      const unsigned status = client.read_reply().status;
      ++(status == 200                    ? counts.stored
         : status == 503 || status == 507 ? counts.refused
                                          : counts.other);
    }
  }
  return counts;
}

std::size_t evictions_of(raw_client& client) {
  const std::string stats = client.ask(get_request("/stats")).body;
  const std::string name = "\"lru\":";
  const std::size_t at = stats.find(name, stats.find("\"evictions\""));
  if (at == std::string::npos) throw std::runtime_error{"no evictions in " + stats};
  return std::stoul(stats.substr(at + name.size()));
}

void expect_stored_by_evicting(const server_process& server, raw_client& client, std::size_t count,
                               const put_counts& counts) {
  EXPECT_EQ(counts.other, 0U);
  EXPECT_LE(counts.refused, count / 1000);
  EXPECT_GT(evictions_of(client), 0U);
  EXPECT_EQ(client.ask(get_request("/get?key=key" + std::to_string(count - 1))).status, 200U);
  EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U);
}

constexpr std::size_t new_keys = 100'000;

TEST(out_of_memory, evicts_for_new_keys_at_the_limit_of_address_space) {
  constexpr std::size_t value_chars = 1500;
  constexpr std::size_t limit_kib = std::size_t{256} << 10; // 150 MB of values and 57 MiB of stacks
  const server_process server{
      binary,
      {"--threads", "2", "--max-value-chars", std::to_string(value_chars)},
      {"/bin/sh", "-c", "ulimit -v " + std::to_string(limit_kib) + " && exec \"$@\"", "sh"}};
  raw_client client = server.connect();
  const put_counts counts = put_new_keys(client, new_keys, value_chars);
  expect_stored_by_evicting(server, client, new_keys, counts);
}

// From now on it may use half a MiB more of the resource.
void limit_growth(pid_t pid, decltype(RLIMIT_AS) resource) {
  constexpr std::size_t more_bytes = std::size_t{512} << 10;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  const std::string name = resource == RLIMIT_AS ? "VmSize:" : "VmData:";
  std::string word;
  while (status >> word && word != name) {
  }
  std::size_t kib = 0;
  if (!(status >> kib)) throw std::runtime_error{"no " + name};
  const rlimit limit{kib * 1024 + more_bytes, RLIM_INFINITY};
  if (::prlimit(pid, resource, &limit, nullptr) != 0) throw std::runtime_error{"prlimit"};
}

class refused_growth : public testing::TestWithParam<decltype(RLIMIT_AS)> {};

TEST_P(refused_growth, evicts_old_entries_for_new_keys) {
  running_server server{{"--threads", "2"}};
  raw_client client = server.connect();
  EXPECT_EQ(put_new_keys(client, 1000, 200).stored, 1000U);
  limit_growth(server.pid(), GetParam());
  // A table that cannot grow needs many evictions until a slot is free.
  const std::size_t keys = GetParam() == RLIMIT_AS ? new_keys * 2 / 5 : new_keys;
  const put_counts counts = put_new_keys(client, keys, 200);
  std::printf("%zu of %zu stored, %zu refused, %zu entries evicted\n", counts.stored, keys,
              counts.refused, evictions_of(client));
  expect_stored_by_evicting(server, client, keys, counts);
}

INSTANTIATE_TEST_SUITE_P(out_of_memory, refused_growth, testing::Values(RLIMIT_AS, RLIMIT_DATA),
                         [](const auto& resource) {
                           return std::string{resource.param == RLIMIT_AS ? "address_space"
                                                                          : "data"};
                         });

} // namespace
} // namespace kvcache::test

#endif
