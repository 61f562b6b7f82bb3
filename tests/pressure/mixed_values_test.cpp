// Values of /kv/ from one byte to 4 MiB under real memory limits: the server is never killed, no
// value arrives truncated or mixed, and below 70 % of the limit none is missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "pressure/limited_server.hpp"
#include "pressure/memory_cgroup.hpp"

namespace kvcache::test {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::size_t longest_value = 4 * mib;
constexpr std::size_t clients = 8;

// "17:23:xxx…": its key and length, and behind them a letter that its version determines.
std::string value_of(std::size_t key, std::size_t bytes, std::uint64_t version) {
  std::string text = std::to_string(key) + ":" + std::to_string(bytes) + ":";
  text.resize(bytes, static_cast<char>('a' + version % 26));
  return text;
}

bool is_whole(std::size_t key, const std::string& value) {
  const std::string start = std::to_string(key) + ":" + std::to_string(value.size()) + ":";
  const std::string_view rest =
      std::string_view{value}.substr(std::min(start.size(), value.size()));
  return std::string_view{value}.substr(0, start.size()) ==
             std::string_view{start}.substr(0, value.size()) &&
         (rest.empty() || rest.find_first_not_of(rest.front()) == std::string_view::npos);
}

// As many short ones as long ones, by magnitude.
std::size_t some_length(std::mt19937_64& random) {
  const double exponent =
      std::uniform_real_distribution<>{0, std::log2(double{longest_value})}(random);
  return static_cast<std::size_t>(std::exp2(exponent));
}

std::string path_of(std::size_t key) { return "/kv/mixed/" + std::to_string(key); }

struct tally {
  std::uint64_t stored = 0;
  std::uint64_t refused = 0; // 503
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t wrong = 0; // any other response, and a value that is not as it was stored

  tally& operator+=(const tally& other) {
    stored += other.stored;
    refused += other.refused;
    hits += other.hits;
    misses += other.misses;
    wrong += other.wrong;
    return *this;
  }
};

class client {
public:
  explicit client(const limited_server& server) : server_(server) {}

  void put(std::size_t key, const std::string& value) {
    const unsigned status = ask("PUT " + path_of(key) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                                std::to_string(value.size()) + "\r\n\r\n" + value)
                                .status;
    ++(status == 201 || status == 204 ? done_.stored : status == 503 ? done_.refused : done_.wrong);
  }

  void get(std::size_t key) {
    const http_reply reply = ask(get_request(path_of(key)));
    if (reply.status == 200)
      ++(is_whole(key, reply.body) ? done_.hits : done_.wrong);
    else
      ++(reply.status == 404 ? done_.misses : reply.status == 503 ? done_.refused : done_.wrong);
  }

  const tally& done() const { return done_; }

private:
  http_reply ask(const std::string& request) {
    if (!connection_) connection_.emplace(server_.connect());
    connection_->send(request);
    http_reply reply = connection_->read_reply();
    if (reply.field("connection") == "close") connection_.reset();
    return reply;
  }

  const limited_server& server_;
  std::optional<raw_client> connection_;
  tally done_;
};

// Requests of all clients at the same time. A connection that ends within a response throws, which
// counts as wrong.
tally run_mixed(const limited_server& server, std::size_t keys, std::size_t requests) {
  std::array<tally, clients> tallies;
  std::vector<std::thread> threads;
  for (std::size_t c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      std::mt19937_64 random{c};
      client one{server};
      try {
        for (std::size_t i = 0; i < requests; ++i) {
          const std::size_t key = random() % keys;
          if (random() % 2 == 0)
            one.put(key, value_of(key, some_length(random), i));
          else
            one.get(key);
        }
      } catch (const std::exception& problem) {
        ADD_FAILURE() << problem.what();
      }
      tallies[c] = one.done();
    });
  for (std::thread& each : threads) each.join();
  tally all;
  for (const tally& each : tallies) all += each;
  return all;
}

class mixed_values : public testing::TestWithParam<std::uint64_t> {
protected:
  void SetUp() override {
    std::string why_not;
    auto made = memory_cgroup::create(GetParam(), why_not);
    if (!made) {
      if (std::getenv("REQUIRED_CGROUPS") != nullptr)
        FAIL() << "no memory group, though one can be made here: " << why_not;
      GTEST_SKIP() << "SKIPPED: no memory group can be made: " << why_not;
    }
    group_.emplace(std::move(*made));
    server_.emplace(*group_, std::vector<std::string>{"--threads", "2", "--max-value-bytes", "4M"});
  }
  void TearDown() override {
    if (!server_) return;
    EXPECT_EQ(group_->oom_kills(), 0U);
    EXPECT_NO_THROW(server_->look()) << server_->output();
  }

  limited_server& server() { return *server_; }

private:
  std::optional<memory_cgroup> group_;
  std::optional<limited_server> server_; // ends before its group
};

TEST_P(mixed_values, far_more_than_fit_are_never_truncated) {
  const std::size_t keys = GetParam() / mib * 10; // some 2.6 MiB for each MiB of the limit
  const tally got = run_mixed(server(), keys, 1500);
  EXPECT_EQ(got.wrong, 0U);
  EXPECT_EQ(got.stored + got.refused + got.hits + got.misses, clients * 1500);
  EXPECT_LE(got.refused * 20, clients * 1500) << got.refused << " refused";
  EXPECT_GT(got.hits, 100U);
  EXPECT_GT(server().look().evictions(), 0U);
}

TEST_P(mixed_values, are_all_there_below_70_percent) {
  std::mt19937_64 random{1};
  std::vector<std::size_t> keys;
  client one{server()};
  std::uint64_t bytes = 0;
  // A quarter of the limit, so that neither the program nor a value that arrives makes it 70 %.
  while (true) {
    const std::size_t length = some_length(random);
    if ((bytes += length) > GetParam() / 4) break;
    keys.push_back(keys.size());
    one.put(keys.back(), value_of(keys.back(), length, 0));
  }
  for (int round = 0; round < 3; ++round)
    for (const std::size_t key : keys) one.get(key);
  EXPECT_EQ(one.done().stored, keys.size());
  EXPECT_EQ(one.done().hits, 3 * keys.size());
  EXPECT_EQ(server().look().evictions(), 0U);
}

INSTANTIATE_TEST_SUITE_P(, mixed_values, testing::Values(64 * mib, 256 * mib),
                         [](const testing::TestParamInfo<std::uint64_t>& of) {
                           return std::to_string(of.param / mib) + "_MiB";
                         });

} // namespace
} // namespace kvcache::test
