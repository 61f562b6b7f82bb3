// The operations under which responses are counted: the endpoints of the API, and those of requests
// that reach no endpoint.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvcache::observe {

// What an operation does with the store. Hits, puts and the like are sums over all operations with
// the same access. `update` changes what is there: a counter, an expiry.
enum class store_access : std::uint8_t { none, get, put, erase, flush, update };

struct operation_info {
  std::string_view name; // the value of the metrics' label `operation`
  store_access access = store_access::none;
};

// An operation's place in the list of all: first the common ones, then those of the endpoints.
using operation_id = std::uint8_t;
inline constexpr operation_id options_operation = 0; // OPTIONS of any path
inline constexpr operation_id unknown_operation = 1; // no such path
inline constexpr operation_id unread_operation = 2;  // no head could be read; its name is "none"
inline constexpr std::array<operation_info, 3> common_operations{
    {{"options"}, {"unknown"}, {"none"}}};

// The kinds of operations in a batch, each counted by its own status.
inline constexpr std::array<std::string_view, 5> batch_operation_names{"get", "put", "delete",
                                                                       "incr", "touch"};

inline constexpr std::size_t batch_get = 0;
inline constexpr std::size_t batch_delete = 2;

// The most that a service may have.
inline constexpr std::size_t operations_most = 24;

} // namespace kvcache::observe
