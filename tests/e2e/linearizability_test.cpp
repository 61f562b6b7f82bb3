// Eight clients read, write, overwrite and delete the same keys while entries are evicted. The
// history of each key must be that of a register that may lose its value but never returns an old
// one.
#include "e2e/register_history.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

using kind = operation::kind;

// ---- the checker itself

register_history history(const std::vector<std::pair<std::size_t, operation>>& done) {
  register_history all{2};
  for (const auto& [client, each] : done) all.add(client, each);
  return all;
}

operation put(std::uint64_t value, std::uint64_t called, std::uint64_t returned) {
  return {.what = kind::put, .value = value, .called = called, .returned = returned};
}
operation get(std::uint64_t value, std::uint64_t called, std::uint64_t returned) {
  return {.what = kind::get, .value = value, .called = called, .returned = returned};
}
operation erase(bool erased, std::uint64_t called, std::uint64_t returned) {
  return {.what = kind::erase, .erased = erased, .called = called, .returned = returned};
}

TEST(register_history, rejects_an_old_value) {
  EXPECT_FALSE(history({{0, put(1, 1, 2)}, {0, put(2, 3, 4)}, {1, get(1, 5, 6)}})
                   .has_order(losses::at_any_time));
  EXPECT_TRUE(history({{0, put(1, 1, 2)}, {0, put(2, 3, 6)}, {1, get(1, 4, 5)}})
                  .has_order(losses::at_any_time)); // overlaps the overwriting
}

TEST(register_history, rejects_reads_of_two_clients_in_different_orders) {
  EXPECT_FALSE(history({{0, put(1, 1, 9)}, {1, put(2, 2, 3)}, {1, get(1, 4, 5)}, {1, get(2, 6, 7)}})
                   .has_order(losses::at_any_time));
}

TEST(register_history, rejects_a_value_that_reappears_after_its_loss) {
  EXPECT_FALSE(history({{0, put(1, 1, 2)}, {1, get(nothing, 3, 4)}, {0, get(1, 5, 6)}})
                   .has_order(losses::at_any_time));
  EXPECT_FALSE(history({{0, put(1, 1, 2)}, {1, erase(false, 3, 4)}, {0, get(1, 5, 6)}})
                   .has_order(losses::at_any_time));
}

TEST(register_history, rejects_a_value_never_written_and_an_erasure_of_nothing) {
  EXPECT_FALSE(history({{0, get(1, 1, 2)}}).has_order(losses::at_any_time));
  EXPECT_FALSE(history({{0, get(1, 1, 2)}, {1, put(1, 3, 4)}}).has_order(losses::at_any_time));
  EXPECT_FALSE(history({{0, put(1, 1, 2)}, {0, erase(true, 3, 4)}, {1, erase(true, 5, 6)}})
                   .has_order(losses::at_any_time));
}

TEST(register_history, accepts_a_miss_without_erasure_only_if_values_may_be_lost) {
  const register_history lost = history({{0, put(1, 1, 2)}, {1, get(nothing, 3, 4)}});
  EXPECT_TRUE(lost.has_order(losses::at_any_time));
  EXPECT_FALSE(lost.has_order(losses::none));
}

// ---- the server

constexpr std::size_t clients = 8;
constexpr std::size_t phases = 30;
constexpr std::size_t keys_per_phase = 8;
constexpr std::size_t operations_per_phase = 50; // of each client

struct load {
  std::vector<std::string> arguments; // of the server, small enough to evict all the time
  std::size_t value_bytes_max;
  double fillers; // for each operation, writes to keys that are never read
};

// One operation of a client.
using record = std::vector<std::pair<std::size_t, operation>>;

class client {
public:
  client(const server_process& server, const load& what, std::size_t number,
         std::atomic<std::uint64_t>& time)
      : connection_(server.connect()), load_(what), number_(number), time_(time), random_(number) {}

  record run() {
    record done;
    for (std::size_t phase = 0; phase < phases; ++phase) {
      for (std::size_t i = 0; i < operations_per_phase; ++i) {
        for (double due = load_.fillers; due > 0; --due)
          if (std::bernoulli_distribution{std::min(due, 1.0)}(random_)) fill();
        const std::size_t key = pick_key(phase);
        if (operation op; perform(key, op)) done.emplace_back(key, op);
      }
    }
    return done;
  }

private:
  // Mostly a key of this phase, which all clients use at the same time; else an older one, which
  // may have been evicted.
  std::size_t pick_key(std::size_t phase) {
    const std::size_t of_phase = random_() % 4 == 0 ? random_() % (phase + 1) : phase;
    return of_phase * keys_per_phase + random_() % keys_per_phase;
  }

  // "17-xxx…": the number identifies the value and determines its length.
  std::string text_of(std::uint64_t value) const {
    const std::string number = std::to_string(value) + "-";
    return number + std::string(value * 7919 % load_.value_bytes_max, 'x');
  }

  std::uint64_t new_value() { return ++written_ * clients + number_; }

  void fill() {
    const std::uint64_t value = new_value();
    connection_.ask(put_request("filler" + std::to_string(value), text_of(value)));
  }

  // False if it had no effect, for lack of memory.
  bool perform(std::size_t key, operation& op) {
    const std::string name = "key" + std::to_string(key);
    const auto choice = random_() % 10;
    op.what = choice < 5 ? kind::get : choice < 9 ? kind::put : kind::erase;
    std::string request;
    switch (op.what) {
    case kind::get:
      request = get_request("/get?key=" + name);
      break;
    case kind::put:
      op.value = new_value();
      request = put_request(name, text_of(op.value));
      break;
    case kind::erase:
      request = post_request("/delete", R"({"key":")" + name + R"("})");
      break;
    default: // is never chosen
      break;
    }
    op.called = ++time_;
    const http_reply reply = connection_.ask(request);
    op.returned = ++time_;
    if (op.what == kind::put && reply.status == 503) return false;
    if (reply.status != 200 && (op.what == kind::put || reply.status != 404))
      throw std::runtime_error(reply.head + reply.body);
    op.erased = op.what == kind::erase && reply.status == 200;
    if (op.what == kind::get && reply.status == 200) op.value = value_in(reply.body, name);
    return true;
  }

  // The number of the returned value, of which every byte is checked.
  std::uint64_t value_in(std::string_view body, const std::string& name) {
    const std::string before = R"({"status":"OK","key":")" + name + R"(","value":")";
    std::uint64_t value = nothing;
    if (body.starts_with(before))
      std::from_chars(body.data() + before.size(), body.data() + body.size(), value);
    EXPECT_EQ(body, before + text_of(value) + R"("})");
    return value;
  }

  raw_client connection_;
  const load& load_;
  const std::size_t number_;
  std::atomic<std::uint64_t>& time_;
  std::mt19937_64 random_;
  std::uint64_t written_ = 0;
};

std::vector<register_history> record_histories(const server_process& server, const load& what) {
  std::atomic<std::uint64_t> time{0};
  std::array<record, clients> records;
  std::vector<std::thread> threads;
  for (std::size_t c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      try {
        records[c] = client{server, what, c, time}.run();
      } catch (const std::exception& problem) {
        ADD_FAILURE() << problem.what();
      }
    });
  for (std::thread& each : threads) each.join();

  std::vector<register_history> keys(phases * keys_per_phase, register_history{clients});
  for (std::size_t c = 0; c < clients; ++c)
    for (const auto& [key, op] : records[c]) keys[key].add(c, op);
  return keys;
}

void expect_registers_that_lose_values(const load& what) {
  running_server server{what.arguments};
  std::size_t with_losses = 0;
  std::size_t number = 0;
  for (const register_history& key : record_histories(server, what)) {
    EXPECT_TRUE(key.has_order(losses::at_any_time)) << "key" << number;
    if (!key.has_order(losses::none)) ++with_losses;
    ++number;
  }
  EXPECT_GT(with_losses, 0U); // evictions were observed
}

TEST(linearizability, each_key_is_a_register_while_clock_evicts) {
  expect_registers_that_lose_values(
      {.arguments = {"--threads", "2", "--max-entries", "32", "--eviction-interval-ms", "10"},
       .value_bytes_max = 240,
       .fillers = 0.1});
}

// An instrumented server exceeds this limit before its first entry.
#ifndef KVCACHE_SANITIZED
TEST(linearizability, each_key_is_a_register_while_memory_is_short) {
  expect_registers_that_lose_values(
      {.arguments = {"--threads", "2", "--memory-limit", "24M", "--max-value-chars", "8192",
                     "--eviction-interval-ms", "10"},
       .value_bytes_max = 8000,
       .fillers = 4});
}
#endif

} // namespace
} // namespace kvcache::test
