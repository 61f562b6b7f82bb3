// Any bytes as a body. Holds: what the fast reader takes, the careful one (nlohmann) takes too and
// finds the same in it; what is accepted obeys the limits, is UTF-8, and survives being written as
// JSON and read again.
#include <cstdint>
#include <string>

#include "api/put_body.hpp"
#include "fuzz/fuzzing.hpp"
#include "http/json_text.hpp"
#include "http/utf8.hpp"

using namespace kvcache::http;
using kvcache::fuzz::check;

namespace {

std::string quoted(std::string_view text) {
  const std::size_t size = json::escaped_size(text);
  std::string out(size + 2, '"');
  check(json::write_escaped(out.data() + 1, text, size) == out.data() + 1 + size,
        "the size is right");
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http_limits limits;
  limits.max_key_chars = 16;
  limits.max_value_chars = 32;

  put_body plain;
  put_body careful;
  body_scratch careful_scratch;
  const bool taken = detail::read_plain_put_body(text, plain);
  const refusal careful_why = detail::read_any_put_body(text, careful_scratch, careful);
  if (taken) check(!careful_why && plain == careful, "both readers agree");

  put_body body;
  body_scratch scratch;
  const refusal why = parse_put_body(text, limits, scratch, body);
  check(!careful_why || why == careful_why, "refusals come from the careful reader");
  std::string_view deleted;
  body_scratch delete_scratch;
  const refusal delete_why = parse_delete_body(text, limits, delete_scratch, deleted);
  if (why) return 0;

  check(!delete_why && deleted == body.key, "DELETE reads the same key");
  check(utf8::is_valid(body.key) && utf8::is_valid(body.value), "both are UTF-8");
  check(!body.key.empty() && utf8::count_chars(body.key) <= limits.max_key_chars,
        "the key's length");
  check(utf8::count_chars(body.value) <= limits.max_value_chars, "the value's length");
  check(!body.ttl || (body.ttl->count() >= 1 && body.ttl->count() <= max_ttl_s), "the ttl");

  const std::string written =
      "{\"key\":" + quoted(body.key) + ",\"value\":" + quoted(body.value) + "}";
  put_body again;
  body_scratch again_scratch;
  check(!parse_put_body(written, limits, again_scratch, again), "what is written can be read");
  check(again.key == body.key && again.value == body.value, "and is the same");
  if (!body.ttl) return 0;
  const std::string ttl = std::to_string(body.ttl->count());
  for (const std::string& spelled :
       {ttl + ".0", ttl + "e0", ttl + "00e-2", "0." + ttl + "E+" + std::to_string(ttl.size())}) {
    const std::string with_ttl = R"({"x":-1e400,"key":"a","value":"b","ttl":)" + spelled + "}";
    check(!parse_put_body(with_ttl, limits, again_scratch, again) && again.ttl == body.ttl,
          "so does the ttl, however it is spelled");
  }
  return 0;
}
