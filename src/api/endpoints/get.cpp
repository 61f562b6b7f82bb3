// GET /get?key=…
#include "api/exchange.hpp"
#include "api/value_format.hpp"
#include "http/json_text.hpp"
#include "http/target.hpp"
#include "http/value_response.hpp"

namespace kvcache::http {

namespace {

constexpr std::size_t json_bytes_most = std::size_t{8} << 20;

// A longer value is pinned under the store's lock, and escaped afterwards.
constexpr std::size_t escaped_bytes_most = std::size_t{64} << 10;

using get_response = value_response<json_envelope>;

fault show_text(get_response& response, std::string_view text) noexcept {
  if (text.size() > json_bytes_most / json::max_escape_bytes &&
      json::escaped_size(text) > json_bytes_most)
    return fault::value_too_long_for_json;
  response.value(text);
  return fault::none;
}

// A value that was put under /kv/, or is long.
[[gnu::noinline]] fault show_marked(const exchange& x, std::string_view key, get_response& response,
                                    bool& found) {
  fault why_not = fault::none;
  do {
    large_body large;
    found = x.context.shared.store.read(key, [&](const entry_view& entry) {
      const stored_value value = read_stored(entry.value(), entry.mark());
      if (!value.info.is_utf8)
        why_not = fault::value_not_text;
      else if (value.bytes.size() <= escaped_bytes_most)
        why_not = show_text(response, value.bytes);
      else
        large = {entry.pin(), value.bytes};
    });
    if (large) why_not = show_text(response, large.bytes);
  } while (found && response.reserve_more());
  return why_not;
}

handled get(exchange& x) {
  handler_context& context = x.context;
  cache& store = context.shared.store;
  std::string_view key;
  if (const refusal why =
          find_key(x.asked.query, context.shared.options.limits, context.query, key))
    return refuse(x, why);

  value_response response{context.writer, x.out, json_envelope{{key, x.asked.query.is_plain}},
                          x.how};
  bool found = false;
  bool is_marked = false;
  do {
    found = store.get_marked(key, [&](std::string_view value, unsigned mark) {
      is_marked = mark != static_cast<unsigned>(value_mark::text);
      if (!is_marked) [[likely]]
        response.value(value);
    });
  } while (found && response.reserve_more());
  fault why_not = fault::none;
  if (is_marked) [[unlikely]]
    why_not = show_marked(x, key, response, found);
  if (!found) {
    context.writer.copy(x.out, prepared::not_found, x.how);
    x.status_slot = not_found_slot;
  }

  ++context.batch_gets;
  return why_not == fault::none ? handled::go_on : refuse(x, {why_not});
}

constexpr endpoint endpoints[] = {{.path = "/get",
                                   .verb = method::get,
                                   .operation = {"get", observe::store_access::get},
                                   .needs = permission::read,
                                   .handle = get}};

} // namespace

extern constinit const endpoint_group get_endpoints{endpoints};

} // namespace kvcache::http
