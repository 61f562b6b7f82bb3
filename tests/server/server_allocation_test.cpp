// In steady state a request allocates nothing, from the socket to the store and back; and where one
// allocates, the allocation may fail.
//
// The operators are replaced for the whole binary, and the linker puts functions of this file
// before aligned_alloc (Asio's own memory) and mmap (connections, entries), which is why these
// tests have a binary of their own; only what the server's threads do is counted, and fails.
#include "server/server.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "api/token_authorizer.hpp"
#include "support/test_server.hpp"

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> first_to_fail{0}; // the number of an allocation; 0: none
std::atomic<std::size_t> last_to_fail{0};
const std::thread::id test_thread = std::this_thread::get_id();

bool may_allocate() noexcept {
  if (std::this_thread::get_id() == test_thread) return true;
  const std::size_t number = ++allocations;
  return number < first_to_fail || number > last_to_fail;
}

void* count_and_allocate(std::size_t bytes) noexcept {
  return may_allocate() ? std::malloc(bytes) : nullptr;
}

} // namespace

extern "C" {
void* __real_aligned_alloc(std::size_t alignment, std::size_t bytes);
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return may_allocate() ? __real_aligned_alloc(alignment, bytes) : nullptr;
}

void* __real_mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset);
void* __wrap_mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  if (may_allocate()) return __real_mmap(at, bytes, protection, flags, file, offset);
  errno = ENOMEM;
  return MAP_FAILED;
}
}

// gcc inlines only one of the pair and then sees malloc's memory deleted, or new's freed.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) {
  if (void* room = count_and_allocate(bytes)) return room;
  throw std::bad_alloc{};
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return count_and_allocate(bytes);
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

// A batch larger than the idle buffer exchanges that for a larger one, anew after a pause. These
// are 20,000 requests.
TEST(server_allocation, pipelined_requests_need_next_to_none) {
  EXPECT_LE(allocations_for(get_request("/get?key=key"), 100), 8U);
}

std::string batch_of(std::string_view operation, std::size_t times) {
  std::string body = R"({"ops":[)";
  for (std::size_t i = 0; i < times; ++i) body.append(i == 0 ? "" : ",").append(operation);
  return body + "]}";
}

TEST(server_allocation, a_batch_needs_none) {
  const std::string all =
      R"({"op":"get","key":"key"},{"op":"get","key":"absent"},{"op":"put","key":"a","value":"b"},)"
      R"({"op":"put","key":"a","value":"b","if":"absent"},{"op":"delete","key":"absent"},)"
      R"({"op":"incr","key":"n","initial":0},{"op":"touch","key":"key"})";
  EXPECT_EQ(allocations_for(post_request("/batch", batch_of(all, 2)), 1), 0U);
}

// The same as of pipelined requests.
TEST(server_allocation, a_batch_of_several_turns_needs_next_to_none) {
  const std::string request = post_request("/batch", batch_of(R"({"op":"get","key":"key"})", 1000));
  EXPECT_LE(allocations_for(request, 1), 8U);
}

// A token that allows everything, as a field.
const std::string writer = "Authorization: Bearer writer\r\n";

// Every way through the server that may allocate: a buffer that must grow, JSON that is read
// carefully, a chunked body, an escaped key, pages, refusals, a flush.
std::string requests_that_allocate() {
  const std::string escaped_value = R"({"key":"key","value":")" + std::string(200, 'v') + R"(\n"})";
  return post_request("/put", R"({"key":"key","value":"value"})", writer) +
         get_request("/get?key=key", writer) + post_request("/put", escaped_value, writer) +
         get_request("/get?key=k%65y", writer) + get_request("/get?key=key") +
         "POST /put HTTP/1.1\r\nHost: a\r\n" + writer +
         "Transfer-Encoding: chunked\r\n\r\n"
         "17\r\n{\"key\":\"a\",\"value\":\"b\"}\r\n0\r\n\r\n" +
         get_request("/get", writer + "X: " + std::string(3000, 'x') + "\r\n") +
         get_request("/stats", writer) + get_request("/metrics", writer) +
         get_request("/openapi.json") + get_request("/nothing", writer) +
         post_request("/batch", batch_of(R"({"op":"get","key":"k\u0065y"})", 300), writer) +
         post_request("/batch", batch_of(R"({"op":"incr","key":"n","initial":0})", 200), writer) +
         post_request("/batch", R"({"ops":[{"op":"get"}]})", writer) +
         post_request("/delete", "{", writer) + post_request("/flush", "", writer) +
         get_request("/healthz", "Connection: close\r\n");
}

// Counts what it is told of, which takes no memory: how the real one gets on without is for
// e2e/out_of_memory_test.cpp.
class counting_log final : public http::access_log {
public:
  void write(const http::access_record&) noexcept override { ++lines; }
  std::atomic<std::size_t> lines{0};
};

// Each reply is whole, whatever its status; there may be fewer of them than requests.
void expect_whole_replies(std::string_view text) {
  while (!text.empty()) {
    ASSERT_TRUE(text.starts_with("HTTP/1.1 ")) << text;
    const std::size_t head_end = text.find("\r\n\r\n");
    ASSERT_NE(head_end, std::string_view::npos) << text;
    constexpr std::string_view length_field = "Content-Length: ";
    const std::size_t length_at = text.find(length_field);
    ASSERT_LT(length_at, head_end) << text;
    const std::size_t body_bytes =
        std::stoul(std::string(text.substr(length_at + length_field.size(), 20)));
    ASSERT_GE(text.size(), head_end + 4 + body_bytes) << text;
    text.remove_prefix(head_end + 4 + body_bytes);
  }
}

// All that the server says, or nothing if it resets the connection: without memory for the
// connection itself it can do no more.
std::string all_replies(raw_client& client) {
  try {
    return client.read_to_end();
  } catch (const std::system_error&) {
    return {};
  }
}

// Lets the n-th allocation of a connection fail, for every n, and the `more` that follow it. With
// two threads one hands the connection to the other, which takes memory of its own.
void fail_each_and(std::size_t more, unsigned threads) {
  http::server_options options;
  options.threads = threads;
  options.enable_flush = true;
  const http::token_authorizer tokens{{{"writer", http::permission::write}}};
  counting_log log;
  http::server_services services;
  services.authorization = &tokens;
  services.access = &log;
  // As the real ones: a text that is made anew each time, of several KiB.
  const auto page = [] { return "{}" + std::string(20'000, ' '); };
  services.stats = page;
  services.metrics = page;
  std::size_t failed = 0;
  for (std::size_t number = 1;; ++number) {
    test_server server{options, services};
    EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U); // it has started
    const std::size_t first = allocations + number;
    last_to_fail = first + more;
    first_to_fail = first;
    {
      raw_client client = server.connect();
      client.send(requests_that_allocate());
      expect_whole_replies(all_replies(client));
    }
    const bool reached = allocations >= first;
    last_to_fail = 0;
    const std::string put = post_request("/put", R"({"key":"key","value":"after"})", writer);
    EXPECT_EQ(server.connect().ask(put).status, 200U) << number;
    EXPECT_EQ(server.connect().ask(get_request("/get?key=key", writer)).status, 200U) << number;
    if (!reached) break;
    ++failed;
  }
  EXPECT_GT(failed, 10U);
  EXPECT_GT(log.lines, 0U);
}

TEST(server_allocation, each_that_fails_leaves_whole_responses_and_a_server_that_continues) {
  fail_each_and(0, 1);
  fail_each_and(0, 2);
}

// Not only what failed, but also what is then tried in its place.
TEST(server_allocation, many_that_fail_in_a_row_are_survived_too) {
  fail_each_and(30, 1);
  fail_each_and(30, 2);
}

// The test's own thread, which asks for it, has memory; the workers, which pass it on and wait for
// handshakes and for one another, have none.
TEST(server_allocation, each_that_fails_leaves_a_server_that_still_drains) {
  http::server_options options;
  options.threads = 2;
  options.drain_delay_ms = 1;
  for (std::size_t number = 1;; ++number) {
    test_server server{options};
    raw_client client = server.connect();
    EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
    const std::size_t first = allocations + number;
    last_to_fail = first + 3;
    first_to_fail = first;
    server.server().begin_drain();
    server.server().wait(); // CTest's patience is the limit
    const bool reached = allocations >= first;
    last_to_fail = 0;
    EXPECT_TRUE(client.ends()) << number;
    if (!reached) break;
  }
}

// Leaves room for so many more descriptors, until its end.
class descriptor_limit {
public:
  explicit descriptor_limit(unsigned more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::dup(STDERR_FILENO);
    ::close(lowest_free);
    const rlimit few{static_cast<rlim_t>(lowest_free) + more, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;

private:
  rlimit before_{};
};

TEST(server_allocation, continues_to_accept_after_descriptors_and_memory_were_exhausted) {
  test_server server;
  EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U); // it has started
  std::optional<raw_client> client;
  {
    const descriptor_limit none_for_the_server{1};
    last_to_fail = SIZE_MAX;
    first_to_fail = allocations + 1;
    client.emplace(server.connect());
    // It has tried again without either.
    while (server.counted().of(observe::event::accept_failed) < 2) std::this_thread::yield();
    last_to_fail = 0;
  }
  EXPECT_EQ(client->ask(get_request("/healthz")).status, 200U);
}

} // namespace
} // namespace kvcache::test
