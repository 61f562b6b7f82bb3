// Any bytes as a batch's body. Holds: what the fast reader takes, the careful one (nlohmann) takes
// too and finds the same in it; what is accepted obeys the limits and is UTF-8; a refusal names a
// place in the operations, or none.
#include <cstdint>
#include <string_view>

#include "api/batch_body.hpp"
#include "fuzz/fuzzing.hpp"
#include "http/utf8.hpp"

using namespace kvcache::http;
using kvcache::fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http_limits limits;
  limits.max_key_chars = 16;
  limits.max_value_chars = 32;
  limits.max_value_bytes = 24;
  limits.max_batch_ops = 8;

  batch_body plain;
  batch_body careful;
  const bool taken = detail::read_plain_batch_body(text, limits, plain);
  const refusal careful_why = detail::read_any_batch_body(text, limits, careful);
  if (taken) check(!careful_why && plain.ops == careful.ops, "both readers agree");

  batch_body body;
  const refusal why = parse_batch_body(text, limits, body);
  check(!careful_why || why == careful_why, "refusals come from the careful reader");
  check(why.name.empty() || why.name.starts_with("ops["), "a place in the operations");
  if (why) return 0;

  check(body.ops.size() <= limits.max_batch_ops, "the number of operations");
  for (const batch_operation& op : body.ops) {
    check(utf8::is_valid(op.key) && !op.key.empty() &&
              utf8::count_chars(op.key) <= limits.max_key_chars,
          "the key");
    if (op.is_base64)
      check(op.value.size() <= limits.max_value_bytes, "the value's bytes");
    else
      check(utf8::is_valid(op.value) && utf8::count_chars(op.value) <= limits.max_value_chars,
            "the value's characters");
    check(!op.ttl || (op.ttl->count() >= 1 && op.ttl->count() <= max_ttl_s), "the ttl");
  }
  return 0;
}
