// Many PUTs and GETs over one connection, pipelined in batches; counts what came back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "support/raw_client.hpp"

namespace kvcache::test {

struct bulk_result {
  std::uint64_t ok = 0;      // 200
  std::uint64_t missed = 0;  // 404
  std::uint64_t refused = 0; // 503
  std::uint64_t other = 0;   // anything else: a failure of the server
  std::uint64_t corrupt = 0; // 200 with a value that was never put under that key

  bulk_result& operator+=(const bulk_result& more);
  std::uint64_t total() const { return ok + missed + refused + other; }
};

// A key and the value that belongs to it: a function of the number, so that whoever reads can
// check.
struct numbered_entries {
  std::size_t value_bytes = 100;
  std::size_t value_bytes_max = value_bytes; // above value_bytes: all lengths between, evenly
  std::size_t key_bytes = 20;                // at most; 8 are enough for any number here

  std::string key(std::uint64_t number) const;
  std::string value(std::uint64_t number) const;
  std::size_t mean_bytes() const { return key_bytes + (value_bytes + value_bytes_max) / 2; }
};

class bulk_client {
public:
  bulk_client(std::uint16_t port, numbered_entries entries)
      : connection_(port), entries_(entries) {}

  bulk_result put(std::uint64_t first, std::uint64_t count);
  bulk_result get(std::uint64_t first, std::uint64_t count);
  bulk_result mix(std::uint64_t first, std::uint64_t count, std::uint64_t behind); // as mix_all()

private:
  // What is in flight lies in the server's buffers, which are in the same budget as the entries.
  static constexpr std::uint64_t batch = 16;
  bulk_result run(std::uint64_t first, std::uint64_t count,
                  const std::function<std::string(std::uint64_t)>& request,
                  const std::function<bool(std::uint64_t, const http_reply&)>& is_right);

  raw_client connection_;
  numbered_entries entries_;
};

// Numbers [0, count) spread over `connections` threads, each with a connection of its own.
bulk_result put_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, unsigned connections);
bulk_result get_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, unsigned connections);
// The same number of PUTs and of GETs, in turns: each entry that is put, and that `behind` numbers
// before it.
bulk_result mix_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, std::uint64_t behind, unsigned connections);

} // namespace kvcache::test
