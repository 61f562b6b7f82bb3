// In steady state a request allocates nothing, from the socket to the store and back.
//
// The operators are replaced for the whole binary (which is why these tests have one of their own);
// only what the server's threads do is counted.
#include "http/server.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include "support/test_server.hpp"

namespace {

std::atomic<std::size_t> allocations{0};
const std::thread::id test_thread = std::this_thread::get_id();

} // namespace

void* operator new(std::size_t bytes) {
  if (std::this_thread::get_id() != test_thread) ++allocations;
  if (void* room = std::malloc(bytes)) return room;
  throw std::bad_alloc{};
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  if (std::this_thread::get_id() != test_thread) ++allocations;
  return std::malloc(bytes);
}
void operator delete(void* room) noexcept { std::free(room); }
void operator delete(void* room, std::size_t) noexcept { std::free(room); }

namespace kvcache::test {
namespace {

// Allocations of the server while it answers the request many times, once it has got used to it.
std::size_t allocations_for(const std::string& request, std::size_t pipelined) {
  test_server server;
  raw_client client = server.connect();
  client.ask(put_request("key", "value"));
  std::string requests;
  for (std::size_t i = 0; i < pipelined; ++i) requests += request;
  const auto ask = [&] {
    client.send(requests);
    for (std::size_t i = 0; i < pipelined; ++i) EXPECT_EQ(client.read_reply().status, 200U);
  };
  for (int i = 0; i < 50; ++i) ask();
  const std::size_t before = allocations;
  EXPECT_GT(before, 0U); // they are counted
  for (int i = 0; i < 200; ++i) ask();
  return allocations - before;
}

TEST(server_allocation, a_get_needs_none) {
  EXPECT_EQ(allocations_for(get_request("/get?key=key"), 1), 0U);
}

TEST(server_allocation, a_put_needs_none) {
  EXPECT_EQ(allocations_for(put_request("key", "other"), 1), 0U);
}

TEST(server_allocation, a_chunked_put_needs_none) {
  EXPECT_EQ(allocations_for("POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "17\r\n{\"key\":\"a\",\"value\":\"b\"}\r\n0\r\n\r\n",
                            1),
            0U);
}

// A batch larger than the idle buffer may exchange buffers, but not once a request.
TEST(server_allocation, pipelined_requests_need_next_to_none) {
  EXPECT_LE(allocations_for(get_request("/get?key=key"), 100), 200U);
}

} // namespace
} // namespace kvcache::test
