// POST /batch {"ops":[…]}: many operations in one request, in order, each as by a request of its
// own.
//
// The whole body is checked before anything is done, and room for the result of each write, and for
// a refusal of each get, is reserved: from then on, a get is all that may find the response full.
// After so many operations other connections have their turn.
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <new>
#include <utility>

#include "api/batch_body.hpp"
#include "api/batch_work.hpp"
#include "api/counter.hpp"
#include "api/exchange.hpp"
#include "api/value_format.hpp"
#include "http/base64.hpp"
#include "http/json_text.hpp"
#include "http/utf8.hpp"

namespace kvcache::http {

namespace {

// About as long as a pipeline batch of single requests takes.
constexpr std::size_t operations_per_turn = 128;

// A longer body is read in a turn of its own: that takes as long as many operations.
constexpr std::size_t read_at_once_bytes = std::size_t{32} << 10;

// While an operation is done, the processor fetches what those behind it will read: of one so far
// behind the place in the index, of one half as far the entry.
constexpr std::size_t operations_ahead = 8;

// A longer value is pinned under the store's lock, and written afterwards.
constexpr std::size_t written_under_lock_bytes = std::size_t{64} << 10;

constexpr std::string_view frame_start = R"({"status":"OK","results":[)";
constexpr std::string_view frame_end = "]}";
constexpr std::string_view stored_result =
    R"({"code":200,"status":"OK","message":"Key inserted/updated successfully."})";
constexpr std::string_view deleted_result =
    R"({"code":200,"status":"OK","message":"Key deleted."})";
constexpr std::string_view touched_result =
    R"({"code":200,"status":"OK","message":"Expiry changed."})";
constexpr std::string_view value_start = R"({"code":200,"status":"OK","key":")";
constexpr std::string_view text_follows = R"(","value":")";
constexpr std::string_view base64_follows = R"(","value_base64":")";
constexpr std::string_view ttl_follows = R"(,"ttl_left":)";
constexpr std::string_view refusal_start = R"({"code":)";
constexpr std::string_view message_follows = R"(,"status":"ERROR","message":")";
constexpr std::size_t most_digits = 20;

char* append(char* to, std::string_view text) noexcept {
  return std::copy(text.begin(), text.end(), to);
}
char* append(char* to, std::uint64_t number) noexcept {
  return std::to_chars(to, to + most_digits, number).ptr;
}
char* append_escaped(char* to, std::string_view text) noexcept {
  return json::write_escaped(to, text, json::escaped_size(text));
}

// With the comma in front.
std::size_t refusal_bytes(const fault_table& faults, fault why) noexcept {
  return 1 + refusal_start.size() + 3 + message_follows.size() +
         json::escaped_size(faults[why].message) + 2;
}

// What the result of an operation may take, whatever it comes to; of a get, if it is refused.
std::size_t least_result_bytes(const fault_table& faults, const batch_operation& op) noexcept {
  std::size_t bytes = 0;
  const auto may_be = [&](std::initializer_list<fault> refusals) {
    for (const fault why : refusals) bytes = std::max(bytes, refusal_bytes(faults, why));
  };
  switch (op.op) {
  case batch_op::get:
    may_be({fault::key_not_found, fault::batch_response_full});
    break;
  case batch_op::put:
    bytes = 1 + stored_result.size();
    may_be(
        {fault::precondition_failed, fault::no_room, fault::out_of_memory, fault::entry_too_large});
    break;
  case batch_op::erase:
    bytes = 1 + deleted_result.size();
    may_be({fault::key_not_found, fault::precondition_failed});
    break;
  case batch_op::incr:
    bytes =
        1 + value_start.size() + json::escaped_size(op.key) + text_follows.size() + most_digits + 2;
    may_be({fault::key_not_found, fault::not_a_number, fault::number_overflow, fault::no_room,
            fault::out_of_memory});
    break;
  case batch_op::touch:
    bytes = 1 + touched_result.size();
    may_be({fault::key_not_found, fault::no_room, fault::out_of_memory});
    break;
  }
  return bytes;
}

// Writes the results of a batch's operations, one after the other.
class result_writer {
public:
  result_writer(exchange& x, batch_work& work) noexcept : x_(x), work_(work) {}

  // REQUIRES: room has been reserved.
  void text(std::string_view result) { work_.results.commit(append(start(result.size()), result)); }
  void refusal(fault why) {
    const fault_reply& row = x_.context.shared.faults[why];
    char* to = append(start(refusal_bytes(x_.context.shared.faults, why)), refusal_start);
    to = append(append(to, row.status), message_follows);
    work_.results.commit(append(append_escaped(to, row.message), R"("})"));
  }
  void number(std::string_view key, std::int64_t value) {
    char* to = append(start(0), value_start);
    to = append(append_escaped(to, key), text_follows);
    to = std::to_chars(to, to + most_digits, value).ptr;
    work_.results.commit(append(to, R"("})"));
  }

  // Makes room for the result of a get. False: the response is full, or memory is short.
  bool reserve(std::size_t bytes) {
    output_buffer& out = work_.results;
    const std::size_t needed = bytes + work_.reserved_bytes + frame_end.size();
    if (out.size() + needed > x_.context.shared.options.limits.max_batch_reply_bytes) return false;
    if (needed <= out.room()) return true;
    // Twice: in the end they are copied into the response.
    if (!x_.context.may_hold(2 * needed)) return false;
    try {
      out.prepare(needed);
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  // Of a get, if there is room. May run under a lock of the store. Returns the bytes that lack
  // room, and has written nothing then; else 0.
  std::size_t value(std::string_view key, const stored_value& value, tick expires_at) noexcept {
    const std::size_t bytes = value.info.is_utf8 ? json::escaped_size(value.bytes)
                                                 : base64::encoded_size(value.bytes.size());
    const std::size_t needed = 1 + value_start.size() + json::escaped_size(key) +
                               base64_follows.size() + bytes + 2 + ttl_follows.size() + most_digits;
    output_buffer& out = work_.results;
    if (needed > room_for_value()) return needed;
    char* to = append(start(0), value_start);
    to = append_escaped(to, key);
    if (value.info.is_utf8) {
      to = json::write_escaped(append(to, text_follows), value.bytes, bytes);
    } else {
      to = base64::encode(append(to, base64_follows), value.bytes);
    }
    *to++ = '"';
    if (expires_at != never) to = append(append(to, ttl_follows), seconds_left(x_, expires_at));
    *to++ = '}';
    out.commit(to);
    return 0;
  }

private:
  std::size_t room_for_value() const noexcept {
    const output_buffer& out = work_.results;
    const std::size_t most = x_.context.shared.options.limits.max_batch_reply_bytes - out.size();
    const std::size_t kept = work_.reserved_bytes + frame_end.size();
    const std::size_t room = std::min(out.room(), most);
    return room < kept ? 0 : room - kept;
  }

  // The place of the next result, behind a comma if there is one before it.
  char* start(std::size_t bytes) {
    char* to = work_.results.prepare(bytes + 1);
    if (work_.results.size() != frame_start.size()) *to++ = ',';
    return to;
  }

  exchange& x_;
  batch_work& work_;
};

// ---- the operations ---------------------------------------------------------------------

// Each returns none if it has written its result, or the fault to be written as one.

fault get(exchange& x, const batch_operation& op, result_writer& results) {
  for (;;) {
    std::size_t lacking = 0;
    pinned_value pin;
    stored_value pinned;
    tick expires_at = never;
    const bool found = x.context.shared.store.read(op.key, [&](const entry_view& entry) {
      const stored_value value = read_stored(entry.value(), entry.mark());
      if (value.bytes.size() > written_under_lock_bytes) {
        pin = entry.pin();
        pinned = value;
        expires_at = entry.expires_at();
      } else {
        lacking = results.value(op.key, value, entry.expires_at());
      }
    });
    if (!found) return fault::key_not_found;
    if (pin) lacking = results.value(op.key, pinned, expires_at);
    if (lacking == 0) return fault::none;
    if (!results.reserve(lacking)) return fault::batch_response_full;
  }
}

put_outcome store_value(exchange& x, const batch_operation& op, tick expires_at) noexcept {
  const shared_state& shared = x.context.shared;
  const auto when = [&](const entry_view* present) noexcept {
    if (op.if_value)
      return present != nullptr &&
             read_stored(present->value(), present->mark()).bytes == *op.if_value;
    return op.if_state == write_condition::none ||
           (op.if_state == write_condition::present) == (present != nullptr);
  };
  const bool is_conditional = op.if_value || op.if_state != write_condition::none;
  const bool is_tagged = op.value.size() > tagged_above_bytes;
  if (!op.is_base64 && !is_tagged)
    return is_conditional ? shared.store.put_if(op.key, {op.value}, expires_at, when)
                          : shared.store.put(op.key, op.value, expires_at);
  const std::string_view type = op.is_base64 ? std::string_view{} : text_type;
  const bool is_utf8 = !op.is_base64 || utf8::is_valid(op.value);
  const std::uint64_t tag =
      is_tagged ? shared.tags.tag_of(type.empty() ? unknown_type : type, op.value) : 0;
  const value_format format{op.value.size(), type, is_utf8, tag};
  return shared.store.put_if(op.key, {op.value, format.suffix(), format.mark()}, expires_at, when);
}

fault put(exchange& x, const batch_operation& op, result_writer& results) {
  const put_outcome outcome = store_value(x, op, expiry(x, op.ttl));
  x.context.counters.add(observe::event_of(outcome));
  const fault why = fault_of(outcome);
  if (why == fault::none) results.text(stored_result);
  return why;
}

fault erase(exchange& x, const batch_operation& op, result_writer& results) {
  const erase_outcome outcome =
      x.context.shared.store.erase_if(op.key, [&](const entry_view* present) noexcept {
        return !op.if_value || read_stored(present->value(), present->mark()).bytes == *op.if_value;
      });
  if (outcome == erase_outcome::absent) return fault::key_not_found;
  if (outcome == erase_outcome::refused) return fault::precondition_failed;
  results.text(deleted_result);
  return fault::none;
}

fault incr(exchange& x, const batch_operation& op, result_writer& results) {
  const incremented done =
      add_to_counter(x.context.shared.store, op.key, {op.by, op.initial}, expiry(x, op.ttl),
                     [](const entry_view*) { return true; });
  if (done.why == fault::none) results.number(op.key, done.value);
  return done.why;
}

fault touch(exchange& x, const batch_operation& op, result_writer& results) {
  const fault why = fault_of(x.context.shared.store.touch_if(
      op.key, expiry(x, op.ttl), [](const entry_view*) { return true; }));
  if (why == fault::none) results.text(touched_result);
  return why;
}

using handler = fault (*)(exchange& x, const batch_operation& op, result_writer& results);
constexpr std::array<handler, batch_op_count> handlers{get, put, erase, incr, touch};

// ---- the batch --------------------------------------------------------------------------

// Does the next operations. True: all are done.
bool take_turn(exchange& x, batch_work& work) {
  const cache& store = x.context.shared.store;
  const std::vector<batch_operation>& ops = work.body.ops;
  const std::size_t end = std::min(ops.size(), work.next + operations_per_turn);
  const bool prefetches = store.prefetch_pays();
  const auto prefetch = [&](std::size_t ahead_of) {
    if (const std::size_t i = ahead_of + operations_ahead; i < end) store.prefetch(ops[i].key);
    if (const std::size_t i = ahead_of + operations_ahead / 2; i < end)
      store.prefetch_entry(ops[i].key);
  };
  for (std::size_t i = work.next; prefetches && i < std::min(end, work.next + operations_ahead);
       ++i)
    store.prefetch(ops[i].key);
  for (std::size_t i = work.next; prefetches && i < std::min(end, work.next + operations_ahead / 2);
       ++i)
    store.prefetch_entry(ops[i].key);
  result_writer results{x, work};
  for (std::size_t i = work.next; i < end; ++i) {
    if (prefetches) prefetch(i);
    const batch_operation& op = ops[i];
    work.reserved_bytes -= least_result_bytes(x.context.shared.faults, op);
    const fault why = handlers[static_cast<std::size_t>(op.op)](x, op, results);
    if (why != fault::none) results.refusal(why);
    const unsigned status = why == fault::none ? 200 : x.context.shared.faults[why].status;
    x.context.counters.count_batch_operation(static_cast<std::size_t>(op.op), status);
  }
  x.context.batch_others += end - work.next;
  work.next = end;
  return end == ops.size();
}

bool writes(const batch_operation& op) noexcept { return op.op != batch_op::get; }

// Reads and checks everything; none if the operations may begin.
refusal begin(exchange& x, batch_work& work) {
  const shared_state& shared = x.context.shared;
  const http_limits& limits = shared.options.limits;
  if (const refusal why = parse_batch_body(x.asked.body, limits, work.body)) return why;
  const std::vector<batch_operation>& ops = work.body.ops;
  if (x.context.tokens.asks_for_tokens() && std::ranges::any_of(ops, writes) &&
      x.context.tokens.check(x.asked[known_field::authorization]) != permission::write)
    return {fault::read_only_token};
  for (const batch_operation& op : ops)
    work.reserved_bytes += least_result_bytes(shared.faults, op);
  const std::size_t bytes = frame_start.size() + work.reserved_bytes + frame_end.size();
  if (bytes > limits.max_batch_reply_bytes) return {fault::batch_response_too_large};
  if (!x.context.may_hold(4 * bytes)) return {fault::no_response_memory};
  // What values of a usual length take, so that a get need not be repeated.
  constexpr std::size_t usual_value_bytes = 256;
  work.results.prepare(std::min(bytes + ops.size() * usual_value_bytes, 2 * bytes));
  work.results.append(frame_start);
  x.context.counters.count_batch(ops.size());
  return {};
}

void show_results(exchange& x, std::string_view body) {
  constexpr std::string_view head_end = "\r\n\r\n";
  const std::string_view head =
      x.context.writer.prepared_heads().get(prepared::json_value, x.how.connection).whole;
  char* to = x.out.prepare(head.size() + most_digits + head_end.size() + body.size());
  to = append(append(append(to, head), std::uint64_t{body.size()}), head_end);
  x.out.commit(append(to, body));
}

handled batch(exchange& x) {
  handler_context& context = x.context;
  const bool is_first_turn = context.work == nullptr;
  std::unique_ptr<batch_work> work;
  if (is_first_turn)
    work = context.batches.take();
  else
    work.reset(static_cast<batch_work*>(context.work.release()));
  const auto pause = [&] {
    context.work = std::move(work);
    return handled::paused;
  };
  const bool is_long = x.asked.body.size() > read_at_once_bytes;
  if (is_first_turn && is_long) return pause();
  if (!std::exchange(work->is_begun, true)) {
    if (const refusal why = begin(x, *work)) {
      const handled result = refuse(x, why); // the refusal may name a place in `work`
      context.batches.give_back(std::move(work));
      return result;
    }
    if (is_long) return pause();
  }
  if (!take_turn(x, *work)) return pause();
  work->results.append(frame_end);
  show_results(x, work->results.view());
  context.batches.give_back(std::move(work));
  return handled::admitted;
}

constexpr endpoint endpoints[] = {{.path = "/batch",
                                   .verb = method::post,
                                   .operation = {"batch", observe::store_access::none},
                                   .needs = permission::read,
                                   .body = body_use::required,
                                   .changes_entries = true,
                                   .handle = batch}};

} // namespace

extern constinit const endpoint_group batch_endpoints{endpoints};

} // namespace kvcache::http
