// Counts allocations, and refuses them one after the other: this file replaces operator new for the
// whole test binary (and does nothing with it until a test asks).
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>
#include <span>
#include <string>

#include "api/put_body.hpp"
#include "http/request_parser.hpp"
#include "http/response.hpp"
#include "http/target.hpp"
#include "http/value_response.hpp"

namespace {
std::size_t allocations = 0;
std::size_t fail_at = 0; // the n-th allocation from now fails; 0 = none

void* allocate(std::size_t bytes) {
  ++allocations;
  if (fail_at != 0 && --fail_at == 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
} // namespace

// gcc inlines only one of the pair and then sees malloc's memory deleted, or new's freed.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
// The others too, or AddressSanitizer sees its own memory given to our delete: gtest sorts with
// this one.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return allocate(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes, const std::nothrow_t& how) noexcept {
  return operator new(bytes, how);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace kvcache::http {
namespace {

struct codec {
  http_limits limits;
  fault_table faults{limits};
  response_writer writer{faults};
  request_parser parser{limits};
  output_buffer out;
  body_scratch scratch;
  std::array<char, 256> input{};

  // What a connection does with one request, the store left away.
  parse_status serve(std::string_view text) {
    text.copy(input.data(), input.size());
    parser.reset();
    const parse_result result = parser.parse(std::span(input).first(text.size()));
    if (result.status == parse_status::refused) writer.refuse(out, {result.why}, {});
    if (result.status != parse_status::complete) return result.status;
    const request& asked = parser.current();
    const reply_options how = options_for(asked);
    if (asked.verb == method::get) {
      std::string_view key;
      if (const refusal why = find_key(asked.query, limits, scratch.key, key)) {
        writer.refuse(out, why, how);
        return result.status;
      }
      value_response reply(writer, out, json_envelope{key}, how);
      do reply.value("some value, \"quoted\"");
      while (reply.reserve_more());
    } else {
      put_body body;
      if (const refusal why = parse_put_body(asked.body, limits, scratch, body))
        writer.refuse(out, why, how);
      else
        writer.copy(out, prepared::stored, how);
    }
    return result.status;
  }
};

const std::string get =
    "GET /get?key=abc HTTP/1.1\r\nHost: 127.0.0.1:7171\r\nUser-Agent: x\r\n\r\n";
const std::string escaped_get =
    "GET /get?a=b&key=%41%42%43%44%45%46%47%48%49%50%51%52%53%54%55%56%57"
    " HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string put = "POST /put HTTP/1.1\r\nHost: 127.0.0.1:7171\r\nContent-Length: 38\r\n\r\n"
                        R"({"key":"abc","value":"some text here"})";
const std::string chunked_put =
    "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "26\r\n{\"key\":\"abc\",\"value\":\"some text here\"}\r\n0\r\n\r\n";
const std::string escaped_put = "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 45\r\n\r\n"
                                R"({"key":"\u0041bcdefghijklmnopqr","value":"b"})";

TEST(codec, allocates_nothing_for_an_ordinary_request_once_it_is_warm) {
  codec server;
  for (const std::string& text : {get, escaped_get, put, chunked_put}) {
    ASSERT_EQ(server.serve(text), parse_status::complete) << text;
    server.out.clear();
  }
  const std::size_t before = allocations;
  for (int i = 0; i < 100; ++i) {
    server.serve(get);
    server.serve(escaped_get);
    server.serve(put);
    server.serve(chunked_put);
    server.out.clear();
  }
  EXPECT_EQ(allocations, before);
}

TEST(codec, survives_the_failure_of_each_allocation_of_a_request) {
  for (const std::string& text : {get, escaped_get, put, chunked_put, escaped_put}) {
    for (std::size_t n = 1;; ++n) {
      codec server;
      fail_at = n;
      bool failed = false;
      try {
        failed = server.serve(text) == parse_status::refused;
      } catch (const std::bad_alloc&) {
        failed = true;
        EXPECT_TRUE(server.out.empty()); // nothing half written
      }
      const bool reached = fail_at == 0;
      fail_at = 0;
      server.out.clear();
      EXPECT_EQ(server.serve(text), parse_status::complete); // and it goes on afterwards
      if (!reached) break;
      EXPECT_TRUE(failed) << "allocation " << n << " of " << text;
      ASSERT_LT(n, 200U);
    }
  }
}

} // namespace
} // namespace kvcache::http
