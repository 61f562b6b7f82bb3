// The JSON body of POST /batch. Pure: text in, operations or a refusal out.
//
// A body is one JSON object with the member `ops`, an array of operations; its other members are
// ignored. Each operation is an object with `op`, `key`, and what its kind takes (batch_member),
// each at most once, and nothing else: a misspelt member must not go unnoticed.
//
// Two readers, as for put_body: a strict single pass for the ordinary shape, and nlohmann's SAX
// parser for everything else. The first accepts or declines, so all refusals come from the second,
// or from the checks that follow both. A differential fuzz test holds them together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/fault.hpp"
#include "http/http_limits.hpp"

namespace kvcache::http {

enum class batch_op : std::uint8_t { get, put, erase, incr, touch };
inline constexpr std::size_t batch_op_count = 5;

// What a put asks of the entry that is there.
enum class write_condition : std::uint8_t { none, absent, present };

struct batch_operation {
  batch_op op = batch_op::get;
  write_condition if_state = write_condition::none;
  bool is_base64 = false; // of the value, which has been decoded
  std::string_view key{};
  std::string_view value{};
  std::optional<std::string_view> if_value{};
  std::optional<std::chrono::seconds> ttl{};
  std::int64_t by = 1;
  std::optional<std::int64_t> initial{};

  friend bool operator==(const batch_operation&, const batch_operation&) = default;
};

// The operations of a body, and memory for what they name: kept between bodies.
struct batch_body {
  std::vector<batch_operation> ops;
  std::string decoded; // strings that differ from the text
  std::string place;   // of the fault, such as "ops[3].ttl"

  std::size_t bytes() const noexcept {
    return ops.capacity() * sizeof(batch_operation) + decoded.capacity() + place.capacity();
  }
};

// On success the views in `out` point into `text` or `out.decoded`; of a refusal, `name` is the
// place of the fault and points into `out.place`. Throws only std::bad_alloc.
refusal parse_batch_body(std::string_view text, const http_limits& limits, batch_body& out);

namespace detail {

// The members of an operation.
enum class batch_member : std::uint8_t {
  op,
  key,
  value,
  value_base64,
  ttl,
  if_state, // "if"
  if_value,
  by,
  initial
};
inline constexpr std::size_t batch_member_count = 9;

std::optional<batch_member> batch_member_named(std::string_view name) noexcept;
std::string_view name_of(batch_member member) noexcept;

// An operation as it was written: nothing is checked yet but the types.
struct written_operation {
  std::uint16_t members = 0; // bit n: batch_member n is there
  batch_operation read;

  bool has(batch_member member) const noexcept {
    return (members >> static_cast<unsigned>(member) & 1U) != 0;
  }
  // False: it is there already.
  bool add(batch_member member) noexcept {
    const auto bit = static_cast<std::uint16_t>(1U << static_cast<unsigned>(member));
    if ((members & bit) != 0) return false;
    members = static_cast<std::uint16_t>(members | bit);
    return true;
  }
};

bool read_op_name(std::string_view name, batch_op& op) noexcept;
bool read_condition_name(std::string_view name, write_condition& condition) noexcept;

// The fault of an operation's members as a whole, and which one it concerns.
struct member_fault {
  fault code = fault::none;
  batch_member member = batch_member::op;
};
member_fault check_members(const written_operation& written) noexcept;

// "ops[3].ttl"; without a name "ops[3]".
void describe_place(std::size_t index, std::string_view member, std::string& out);

// The two readers. The fast one returns false if it declines; it leaves the lengths, and the
// decoding of base64, to the checks that follow.
bool read_plain_batch_body(std::string_view text, const http_limits& limits, batch_body& out);
refusal read_any_batch_body(std::string_view text, const http_limits& limits, batch_body& out);

} // namespace detail

} // namespace kvcache::http
