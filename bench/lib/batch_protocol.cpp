#include "batch_protocol.hpp"

#include <charconv>
#include <numeric>

namespace kvcache::bench {

namespace {

using key_span = std::span<const std::uint64_t>;

constexpr std::string_view line_end = "\r\n";

std::size_t number_at(std::string_view text) {
  std::size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  out.append(std::begin(digits), end);
}

std::size_t value_bytes_of(const workload& work, key_span keys) {
  return std::accumulate(
      keys.begin(), keys.end(), std::size_t{0},
      [&](std::size_t sum, std::uint64_t key) { return sum + work.value_of(key).size(); });
}

// A reply whose results all have the same kind.
batch_reply same_for_all(std::size_t bytes, reply_kind kind, key_span keys) {
  batch_reply answer{.bytes = bytes};
  switch (kind) {
  case reply_kind::ok:
    answer.ok = keys.size();
    break;
  case reply_kind::miss:
    answer.misses = keys.size();
    break;
  case reply_kind::refused:
    answer.refused = keys.size();
    break;
  case reply_kind::error:
    answer.errors = keys.size();
    break;
  }
  return answer;
}

void count(batch_reply& answer, reply_kind kind) {
  switch (kind) {
  case reply_kind::ok:
    ++answer.ok;
    break;
  case reply_kind::miss:
    ++answer.misses;
    break;
  case reply_kind::refused:
    ++answer.refused;
    break;
  case reply_kind::error:
    ++answer.errors;
    break;
  }
}

// Decides which hits are compared with the workload, and counts those that differ.
class checker {
public:
  checker(const workload& work, key_span keys, bool verify)
      : work_(work), keys_(keys), verify_(verify) {}

  bool wants(std::size_t at) const { return verify_ || at + 1 == keys_.size(); }

  bool is_value(std::size_t at, std::string_view value) const {
    return value == work_.value_of(keys_[at]);
  }

  bool is_key(std::size_t at, std::string_view key) {
    expected_.clear();
    work_.append_key(expected_, keys_[at]);
    return key == expected_;
  }

private:
  const workload& work_;
  key_span keys_;
  bool verify_;
  std::string expected_;
};

// ---- HTTP ---------------------------------------------------------------------------------------

constexpr std::string_view ops_open = R"({"ops":[)";
constexpr std::string_view ops_close = "]}";
constexpr std::string_view get_open = R"({"op":"get","key":")";
constexpr std::string_view put_open = R"({"op":"put","key":")";
constexpr std::string_view value_open = R"(","value":")";
constexpr std::string_view op_close = R"("})";

void append_http(std::string& out, operation what, const workload& work, key_span keys) {
  const bool puts = what == operation::put;
  const std::string_view open = puts ? put_open : get_open;
  const std::size_t of_each = open.size() + work.options().key_bytes + op_close.size() +
                              (puts ? value_open.size() : 0) + 1; // and a comma
  const std::size_t length = ops_open.size() + of_each * keys.size() - 1 + ops_close.size() +
                             (puts ? value_bytes_of(work, keys) : 0);
  out.append("POST /batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: ");
  append_number(out, length);
  out.append("\r\n\r\n").append(ops_open);
  for (const std::uint64_t key : keys) {
    out.append(open);
    work.append_key(out, key);
    if (puts) {
      out.append(value_open).append(work.value_of(key));
    }
    out.append(op_close).push_back(',');
  }
  out.pop_back();
  out.append(ops_close);
}

struct json_result {
  reply_kind kind = reply_kind::error;
  std::string_view key;
  std::string_view value;
};

// Reads the results of a batch one by one. The plain shapes (a hit without escapes, a message) cost
// a few comparisons and a search for the closing quote; any other object is skipped by the rules of
// JSON.
class result_reader {
public:
  result_reader(std::string_view results, operation what)
      : rest_(results), gets_(what == operation::get) {}

  // False at the end of the results, and where they are malformed.
  bool next(json_result& result) {
    if (broken_ || rest_.empty() || rest_.front() == ']') {
      return false;
    }
    if (!(gets_ ? take_hit(result) : take_message(result)) && !take_object(result)) {
      broken_ = true;
      return false;
    }
    if (!rest_.empty() && rest_.front() == ',') {
      rest_.remove_prefix(1);
    }
    return true;
  }

private:
  bool take(std::string_view& from, std::string_view text) const {
    if (!from.starts_with(text)) {
      return false;
    }
    from.remove_prefix(text.size());
    return true;
  }

  // Up to the next quote, which is consumed. Not of strings with escapes.
  bool take_string(std::string_view& from, std::string_view& text) const {
    const auto end = from.find('"');
    if (end == std::string_view::npos || (end > 0 && from[end - 1] == '\\')) {
      return false;
    }
    text = from.substr(0, end);
    from.remove_prefix(end + 1);
    return true;
  }

  bool take_hit(json_result& result) {
    std::string_view from = rest_;
    if (!take(from, R"({"code":200,"status":"OK","key":")") || !take_string(from, result.key) ||
        !take(from, R"(,"value":")") || !take_string(from, result.value) || !take(from, "}")) {
      return false;
    }
    result.kind = reply_kind::ok;
    rest_ = from;
    return true;
  }

  bool take_message(json_result& result) {
    std::string_view from = rest_;
    std::string_view message;
    if (!take(from, R"({"code":200,"status":"OK","message":")") || !take_string(from, message) ||
        !take(from, "}")) {
      return false;
    }
    result.kind = reply_kind::ok;
    rest_ = from;
    return true;
  }

  static std::size_t object_end(std::string_view text) {
    bool in_string = false;
    std::size_t depth = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      switch (text[at]) {
      case '\\':
        at += in_string ? 1 : 0;
        break;
      case '"':
        in_string = !in_string;
        break;
      case '{':
        depth += in_string ? 0 : 1;
        break;
      case '}':
        if (!in_string && --depth == 0) {
          return at + 1;
        }
        break;
      default:
        break;
      }
    }
    return 0;
  }

  // A string member, as it stands in the object; empty if it is not there.
  static std::string_view member(std::string_view object, std::string_view name) {
    const auto at = object.find(name);
    if (at == std::string_view::npos) {
      return {};
    }
    const std::string_view text = object.substr(at + name.size());
    std::size_t end = 0;
    while (end < text.size() && text[end] != '"') {
      end += text[end] == '\\' ? 2 : 1;
    }
    return text.substr(0, end);
  }

  bool take_object(json_result& result) {
    constexpr std::string_view code_open = R"({"code":)";
    const std::size_t bytes = rest_.starts_with(code_open) ? object_end(rest_) : 0;
    if (bytes == 0) {
      return false;
    }
    const std::string_view object = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    result = {};
    switch (number_at(object.substr(code_open.size()))) {
    case 200:
      result.key = member(object, R"("key":")");
      result.value = member(object, R"("value":")");
      result.kind = !gets_ || object.find(R"("value":")") != std::string_view::npos
                        ? reply_kind::ok
                        : reply_kind::error;
      break;
    case 404:
      result.kind = reply_kind::miss;
      break;
    case 503:
      result.kind = reply_kind::refused;
      break;
    default:
      break;
    }
    return true;
  }

  std::string_view rest_;
  bool gets_;
  bool broken_ = false;
};

batch_reply read_http(std::string_view input, operation what, key_span keys, checker check) {
  const reply whole = read_reply(protocol::http, input, what);
  if (whole.bytes == 0) {
    return {};
  }
  constexpr std::string_view open = R"("results":[)";
  const auto results_at = whole.body.find(open);
  if (whole.kind != reply_kind::ok || results_at == std::string_view::npos) {
    const bool refused = whole.kind == reply_kind::refused;
    return same_for_all(whole.bytes, refused ? reply_kind::refused : reply_kind::error, keys);
  }
  batch_reply answer{.bytes = whole.bytes};
  result_reader results(whole.body.substr(results_at + open.size()), what);
  json_result result;
  std::size_t at = 0;
  for (; results.next(result); ++at) {
    if (at == keys.size()) { // more results than operations: they cannot be told apart
      return same_for_all(whole.bytes, reply_kind::error, keys);
    }
    count(answer, result.kind);
    if (what == operation::get && result.kind == reply_kind::ok && check.wants(at) &&
        !(check.is_value(at, result.value) && check.is_key(at, result.key))) {
      ++answer.wrong_values;
    }
  }
  answer.errors += keys.size() - at;
  return answer;
}

// ---- RESP ---------------------------------------------------------------------------------------

void append_bulk_head(std::string& out, std::size_t bytes) {
  out.push_back('$');
  append_number(out, bytes);
  out.append(line_end);
}

void append_resp(std::string& out, operation what, const workload& work, key_span keys) {
  const bool puts = what == operation::put;
  out.push_back('*');
  append_number(out, 1 + keys.size() * (puts ? 2 : 1));
  out.append(puts ? "\r\n$4\r\nMSET\r\n" : "\r\n$4\r\nMGET\r\n");
  for (const std::uint64_t key : keys) {
    append_bulk_head(out, work.options().key_bytes);
    work.append_key(out, key);
    out.append(line_end);
    if (puts) {
      const std::string_view value = work.value_of(key);
      append_bulk_head(out, value.size());
      out.append(value).append(line_end);
    }
  }
}

batch_reply read_resp(std::string_view input, operation what, key_span keys, checker check) {
  const auto first_end = input.find(line_end);
  if (first_end == std::string_view::npos) {
    return {};
  }
  std::size_t used = first_end + line_end.size();
  if (input.front() != '*') { // of MSET, or an error
    const reply whole = read_reply(protocol::redis, input, what);
    const bool as_it_should = what == operation::put || whole.kind != reply_kind::ok;
    return same_for_all(whole.bytes, as_it_should ? whole.kind : reply_kind::error, keys);
  }
  const std::size_t elements = number_at(input.substr(1));
  batch_reply answer;
  for (std::size_t at = 0; at < elements; ++at) {
    const std::string_view rest = input.substr(used);
    const reply element = rest.empty() ? reply{} : read_reply(protocol::redis, rest, what);
    if (element.bytes == 0) {
      return {};
    }
    used += element.bytes;
    count(answer, element.kind);
    if (element.kind == reply_kind::ok && at < keys.size() && check.wants(at) &&
        !check.is_value(at, element.body)) {
      ++answer.wrong_values;
    }
  }
  if (elements != keys.size() || what != operation::get) {
    return same_for_all(used, reply_kind::error, keys);
  }
  answer.bytes = used;
  return answer;
}

// ---- memcached text -----------------------------------------------------------------------------

void append_memcached(std::string& out, operation what, const workload& work, key_span keys) {
  if (what == operation::get) {
    out.append("get");
    for (const std::uint64_t key : keys) {
      out.push_back(' ');
      work.append_key(out, key);
    }
    out.append(line_end);
    return;
  }
  for (const std::uint64_t key : keys) {
    const std::string_view value = work.value_of(key);
    out.append("ms ");
    work.append_key(out, key);
    out.push_back(' ');
    append_number(out, value.size());
    out.append(" q\r\n").append(value).append(line_end);
  }
  out.append("mn\r\n");
}

reply_kind kind_of_fault(std::string_view line) {
  return line.starts_with("SERVER_ERROR out of memory") ? reply_kind::refused : reply_kind::error;
}

// Hits come in the order of the keys; missing keys are left out.
batch_reply read_multi_get(std::string_view input, key_span keys, checker check, bool verify) {
  batch_reply answer;
  std::size_t used = 0;
  std::size_t at = 0; // the key whose hit may come next
  for (;;) {
    const auto line_bytes = input.find(line_end, used);
    if (line_bytes == std::string_view::npos) {
      return {};
    }
    const std::string_view line = input.substr(used, line_bytes - used);
    used = line_bytes + line_end.size();
    if (!line.starts_with("VALUE ")) {
      if (answer.ok > keys.size()) {
        return same_for_all(used, reply_kind::error, keys);
      }
      const reply_kind left = line == "END" ? reply_kind::miss : kind_of_fault(line);
      const batch_reply others = same_for_all(used, left, keys.subspan(answer.ok));
      answer.bytes = used;
      answer.misses = others.misses;
      answer.refused = others.refused;
      answer.errors = others.errors;
      return answer;
    }
    const std::size_t bytes = number_at(line.substr(line.rfind(' ') + 1));
    if (input.size() < used + bytes + line_end.size()) {
      return {};
    }
    ++answer.ok;
    const std::string_view fields = line.substr(std::string_view("VALUE ").size());
    const std::string_view key = fields.substr(0, fields.find(' '));
    while (verify && at < keys.size() && !check.is_key(at, key)) {
      ++at;
    }
    const bool requested = at < keys.size();
    if (!requested || (check.wants(at) &&
                       !(check.is_key(at, key) && check.is_value(at, input.substr(used, bytes))))) {
      ++answer.wrong_values;
    }
    ++at;
    used += bytes + line_end.size();
  }
}

// In quiet mode, only failures are answered, and `mn` by MN.
batch_reply read_meta_sets(std::string_view input, key_span keys) {
  batch_reply answer;
  std::size_t used = 0;
  for (;;) {
    const auto line_bytes = input.find(line_end, used);
    if (line_bytes == std::string_view::npos) {
      return {};
    }
    const std::string_view line = input.substr(used, line_bytes - used);
    used = line_bytes + line_end.size();
    if (line == "MN") {
      break;
    }
    count(answer, kind_of_fault(line));
  }
  const std::size_t failed = answer.refused + answer.errors;
  if (failed > keys.size()) {
    return same_for_all(used, reply_kind::error, keys);
  }
  answer.ok = keys.size() - failed;
  answer.bytes = used;
  return answer;
}

} // namespace

void append_batch(protocol spoken, std::string& out, operation what, const workload& work,
                  std::span<const std::uint64_t> keys) {
  switch (spoken) {
  case protocol::redis:
    append_resp(out, what, work, keys);
    break;
  case protocol::memcached:
    append_memcached(out, what, work, keys);
    break;
  case protocol::http:
  case protocol::webdis: // load_worker refuses it
    append_http(out, what, work, keys);
    break;
  }
}

batch_reply read_batch(protocol spoken, std::string_view input, operation what,
                       const workload& work, std::span<const std::uint64_t> keys, bool verify) {
  const checker check(work, keys, verify);
  switch (spoken) {
  case protocol::redis:
    return read_resp(input, what, keys, check);
  case protocol::memcached:
    return what == operation::get ? read_multi_get(input, keys, check, verify)
                                  : read_meta_sets(input, keys);
  case protocol::http:
  case protocol::webdis:
    break;
  }
  return read_http(input, what, keys, check);
}

} // namespace kvcache::bench
