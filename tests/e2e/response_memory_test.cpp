// Responses that together exceed the buffer memory, for clients that read them.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "e2e/binary.hpp"
#include "support/reader_swarm.hpp"

namespace kvcache::test {
namespace {

constexpr std::size_t body_frame_bytes = 35; // {"status":"OK","key":"","value":""}

std::size_t body_bytes(const std::string& key, std::size_t value_bytes) {
  return body_frame_bytes + key.size() + value_bytes;
}

// The value of a counter in /stats.
std::uint64_t counted(const server_process& server, const std::string& name) {
  const std::string stats = server.connect().ask(get_request("/stats")).body;
  const std::size_t at = stats.find("\"" + name + "\":");
  if (at == std::string::npos) throw std::runtime_error("no " + name + " in " + stats);
  return std::stoull(stats.substr(at + name.size() + 3));
}

void allow_many_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

// An instrumented server uses tens of megabytes itself, and an instrumented client may pause longer
// than the server permits: sanitizer builds run only the loads that neither affects.
#ifndef KVCACHE_SANITIZED
TEST(response_memory, sends_many_large_responses_completely) {
  constexpr std::size_t value_bytes = 1'000'000;
  constexpr std::size_t clients = 32;
  const running_server server{{"--memory-limit", "64M", "--max-value-chars", "1000000"}};
  ASSERT_EQ(server.connect().ask(put_request("big", std::string(value_bytes, 'x'))).status, 200U);
  const std::vector<reader_plan> plans(
      clients, {get_request("/get?key=big"), {body_bytes("big", value_bytes)}});
  const swarm_result result = run_readers(server.port(), plans);
  EXPECT_EQ(result.ok, clients);
  EXPECT_EQ(counted(server, "hits"), clients);
}
#endif

struct pipelines {
  std::string memory_limit;
  std::size_t clients;
};

class response_memory_of_pipelines : public testing::TestWithParam<pipelines> {};

TEST_P(response_memory_of_pipelines, suffices_for_every_client_that_reads) {
  const auto& [memory_limit, clients] = GetParam();
  constexpr std::size_t requests = 300;
  allow_many_files();
  const running_server server{{"--memory-limit", memory_limit}};
  ASSERT_EQ(server.connect().ask(put_request("a", std::string(256, 'v'))).status, 200U);
  reader_plan plan;
  for (std::size_t i = 0; i < requests; ++i) {
    plan.requests += get_request("/get?key=a");
    plan.body_bytes.push_back(body_bytes("a", 256));
  }
  const swarm_result result = run_readers(server.port(), std::vector<reader_plan>(clients, plan));
  EXPECT_EQ(result.cut, 0U);
  EXPECT_EQ(result.wrong, 0U);
  EXPECT_EQ(result.ok + result.unavailable, clients * requests);
  EXPECT_GE(result.ok, clients * requests / 100 * 99);
  EXPECT_EQ(counted(server, "hits"), result.ok);
}

#ifdef KVCACHE_SANITIZED
const auto pipeline_loads = testing::Values(pipelines{"64M", 50});
#else
const auto pipeline_loads =
    testing::Values(pipelines{"16M", 300}, pipelines{"32M", 500}, pipelines{"64M", 500});
#endif

INSTANTIATE_TEST_SUITE_P(, response_memory_of_pipelines, pipeline_loads,
                         [](const testing::TestParamInfo<pipelines>& of) {
                           return of.param.memory_limit + "_" + std::to_string(of.param.clients) +
                                  "_clients";
                         });

struct load {
  std::string memory_limit;
  std::size_t clients;
  std::size_t requests; // of each
  bool pipelines;
  bool may_evict = false;
};

class response_memory_of : public testing::TestWithParam<load> {};

TEST_P(response_memory_of, readers_of_mixed_values_suffices_for_complete_responses) {
  const load& with = GetParam();
  allow_many_files();
  const running_server server{
      {"--memory-limit", with.memory_limit, "--max-value-chars", "1000000"}};
  std::vector<std::size_t> sizes;
  for (const std::size_t bytes : {1U, 100U, 1'000U, 10'000U, 100'000U, 1'000'000U}) {
    const std::string key = "k" + std::to_string(sizes.size());
    ASSERT_EQ(server.connect().ask(put_request(key, std::string(bytes, 'v'))).status, 200U);
    sizes.push_back(bytes);
  }
  std::vector<reader_plan> plans(with.clients);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    plans[i].pipelines = with.pipelines;
    for (std::size_t j = 0; j < with.requests; ++j) {
      const std::size_t which = (i * 7 + j * 5) % sizes.size();
      const std::string key = "k" + std::to_string(which);
      const std::string request = get_request("/get?key=" + key);
      plans[i].requests += request;
      plans[i].request_bytes.push_back(request.size());
      plans[i].body_bytes.push_back(body_bytes(key, sizes[which]));
    }
  }
  const swarm_result result = run_readers(server.port(), plans);
  EXPECT_EQ(result.cut, 0U);
  EXPECT_EQ(result.wrong, 0U);
  EXPECT_EQ(result.ok + result.unavailable + result.missed, with.clients * with.requests);
  // Under the smallest limit, the program and five hundred connections leave no memory for the
  // largest entries; evicted ones are misses.
  const std::uint64_t served = with.may_evict ? result.ok + result.missed : result.ok;
  EXPECT_GE(served * 100, with.clients * with.requests * 99);
  EXPECT_EQ(counted(server, "hits"), result.ok);
  EXPECT_EQ(counted(server, "misses"), result.missed);
}

#ifdef KVCACHE_SANITIZED
const auto loads = testing::Values(load{"64M", 1, 60, true}, load{"256M", 8, 12, true});
#else
const auto loads = testing::Values(load{"16M", 1, 60, true}, load{"16M", 50, 12, false, true},
                                   load{"16M", 500, 2, false, true}, load{"64M", 1, 60, true},
                                   load{"64M", 50, 12, true}, load{"64M", 500, 2, false},
                                   load{"256M", 50, 12, true}, load{"256M", 500, 2, true});
#endif

INSTANTIATE_TEST_SUITE_P(, response_memory_of, loads, [](const testing::TestParamInfo<load>& of) {
  return of.param.memory_limit + "_" + std::to_string(of.param.clients) + "_clients";
});

} // namespace
} // namespace kvcache::test
