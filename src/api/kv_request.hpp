// What a request for /kv/{key} asks: its key, parameters and conditions.
//
// Thread-safety: none; on its worker's thread. Views point into the request or the context's
// scratch, and are valid until the next request is read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/counter.hpp"
#include "api/exchange.hpp"
#include "api/value_format.hpp"
#include "http/precondition.hpp"

namespace kvcache::http {

enum class kv_operation : std::uint8_t { incr, touch };

struct kv_request {
  std::string_view key;
  std::string_view type; // of the new value; empty: none
  std::optional<std::chrono::seconds> ttl;
  std::optional<preconditions> conditions; // none: mostly

  // Of a POST.
  std::optional<kv_operation> op;
  increment counter;
  bool has_by = false;
};

// Each reads what its method takes; none if that is well-formed. read_kv_request: of a GET.
refusal read_kv_request(exchange& x, kv_request& out);
refusal read_kv_put(exchange& x, kv_request& out);
refusal read_kv_delete(exchange& x, kv_request& out);
refusal read_kv_post(exchange& x, kv_request& out);

std::uint64_t tag_of(const exchange& x, const stored_value& value) noexcept;

condition_outcome evaluate(const exchange& x, const preconditions& conditions,
                           const entry_view* present) noexcept;

// Whether the conditions allow a write over that entry, null if there is none.
bool permits(const exchange& x, const std::optional<preconditions>& conditions,
             const entry_view* present) noexcept;

// As the entry is now: when the request is applied, it is asked again.
bool permits_now(const exchange& x, const kv_request& asked) noexcept;

} // namespace kvcache::http
