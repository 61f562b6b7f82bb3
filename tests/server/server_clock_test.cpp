// How often the server looks at the clock. The function behind std::chrono's clocks is replaced for
// the whole binary, which is why these tests have one of their own; only the looks of the server's
// threads count.
#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>
#include <thread>

#include "support/test_server.hpp"

namespace {

std::atomic<std::size_t> looks{0};
const std::thread::id test_thread = std::this_thread::get_id();

} // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (std::this_thread::get_id() != test_thread) ++looks;
  return static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
}

namespace kvcache::test {
namespace {

constexpr std::size_t batches = 2000;
constexpr std::size_t requests_per_batch = 8; // received at once

void ask_in_batches(test_server& server, const std::string& request) {
  raw_client client = server.connect();
  std::string batch;
  for (std::size_t i = 0; i < requests_per_batch; ++i) batch += request;
  for (std::size_t i = 0; i < batches; ++i) {
    client.send(batch);
    for (std::size_t k = 0; k < requests_per_batch; ++k)
      EXPECT_EQ(client.read_reply().status, 200U);
  }
}

// For each batch, those of the sweeps between two batches too.
double looks_per_batch(const std::string& request) {
  test_server server;
  server.connect().ask(put_request("key", "value"));
  const std::size_t before = looks;
  EXPECT_GT(before, 0U); // they are counted
  ask_in_batches(server, request);
  return static_cast<double>(looks - before) / batches;
}

// Every other batch is timed, with two looks; which ones is drawn.
constexpr double once_on_average = 1.2;

TEST(server_clock, is_read_once_a_batch_on_average) {
  EXPECT_LE(looks_per_batch(get_request("/get?key=key")), once_on_average);
  EXPECT_LE(looks_per_batch(put_request("key", "value")), once_on_average);
}

// On the clock that counts expiry, which is another one here.
TEST(server_clock, is_read_once_for_all_expiries_of_a_batch) {
  test_server server;
  const std::size_t before = server.looks_at_the_time();
  ask_in_batches(server, post_request("/put", R"({"key":"key","value":"value","ttl":60})"));
  EXPECT_EQ(server.looks_at_the_time() - before, batches);
}

} // namespace
} // namespace kvcache::test
