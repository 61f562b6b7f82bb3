// Any bytes as a connection's input. The first byte is a seed for the splits. Holds:
// - the requests found are the same however the input is split, and whatever was parsed before,
// also
//   if a head comes again with another value of one field or another path behind its first segments
// - views lie inside the input, nothing is consumed that is not there
// - what is accepted obeys the rules that can be checked from outside
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fuzz/fuzzing.hpp"
#include "http/parsed.hpp"
#include "http/request_parser.hpp"

namespace {

using namespace kvcache::http;
using kvcache::fuzz::check;
using kvcache::http::testing::describe;
using kvcache::http::testing::exact_copy;
using kvcache::http::testing::parsed;

http_limits small_limits() {
  http_limits limits; // small, so that short inputs reach them
  limits.head_bytes = 512;
  limits.head_fields = 8;
  limits.target_bytes = 128;
  limits.body_bytes = 64;
  limits.max_value_bytes = 96;
  limits.chunk_overhead_bytes = 128;
  limits.chunk_extension_bytes = 16;
  limits.trailer_fields = 2;
  limits.leading_empty_lines = 2;
  return limits;
}
const http_limits limits = small_limits();

class splitter {
public:
  explicit splitter(std::uint8_t seed) : state_(seed * 2654435761U + 1U) {}
  std::size_t next() { // 1 to 16, mostly small
    state_ = state_ * 1664525U + 1013904223U;
    return 1 + (state_ >> 28);
  }

private:
  std::uint32_t state_;
};

bool inside(std::string_view piece, std::string_view input) {
  return piece.empty() || (piece.data() >= input.data() &&
                           piece.data() + piece.size() <= input.data() + input.size());
}

void check_accepted(const request& got, const parse_result& result, std::string_view input) {
  check(result.consumed > 0 && result.consumed <= input.size(), "consumes what is there");
  // A chunked value has more framing: see chunk_overhead_for().
  check(result.consumed <= limits.request_bytes() || got.kind == body_kind::value,
        "takes no more than a request may");
  const std::string_view whole = input.substr(0, result.consumed);
  for (const std::string_view piece :
       {got.method_text, got.target, got.query.text, got.host, got.body})
    check(inside(piece, whole), "views lie in the request");
  for (const std::string_view value : got.fields)
    check(inside(value, whole), "views lie in the request");
  check(!got.target.empty() && got.target.size() <= limits.target_bytes, "the target's size");
  check(got.body.size() <= limits.most_body_bytes(got.kind), "the body's size");
  check(got.framing == body_framing::none || got.kind == kind_of(got.verb, got.path),
        "the body's kind");
  check(inside(got.field_lines, whole) && got.field_lines.starts_with("\r\n") &&
            got.field_lines.ends_with("\r\n\r\n"),
        "the field lines are the rest of the head");
  check(got.version == http_version::http_1_0 || !got.host.empty(), "HTTP/1.1 has a host");
  check(got.framing != body_framing::chunked || got.version == http_version::http_1_1,
        "no chunks in HTTP/1.0");
}

// The requests at the start of the input, each by a parser of its own, in one piece.
std::vector<parsed> parse_fresh(std::string_view input) {
  std::vector<parsed> found;
  exact_copy copy(input);
  for (std::span<char> rest = copy.bytes();;) {
    request_parser parser(limits);
    const parse_result result = parser.parse(rest);
    found.push_back(describe(result, parser));
    if (result.status != parse_status::complete) return found;
    check_accepted(parser.current(), result, {rest.data(), rest.size()});
    rest = rest.subspan(result.consumed);
  }
}

// The same by one parser for all, which recognises what it has seen before.
// Each request is granted for all paths that begin with the same segments, as a router would do for
// a path with a variable.
std::vector<parsed> parse_by_one(std::string_view input) {
  std::vector<parsed> found;
  request_parser parser(limits);
  exact_copy copy(input);
  for (std::span<char> rest = copy.bytes();;) {
    const parse_result result = parser.parse(rest);
    found.push_back(describe(result, parser));
    if (result.status != parse_status::complete) return found;
    const request& got = parser.current();
    if (got.granted != nullptr && got.path.size() > 1)
      got.granted->fixed_path_bytes = got.path.rfind('/', got.path.size() - 2) + 1;
    rest = rest.subspan(result.consumed);
    parser.reset();
  }
}

// The first request several times, each time with other bytes behind the first slash of its target.
std::string with_varied_path(std::string_view input, std::size_t request_bytes, splitter split) {
  const std::string_view first = input.substr(0, request_bytes);
  std::string all(first);
  const std::size_t from = first.find('/') + 1;
  const std::size_t to = first.find(" HTTP/", from);
  if (from == 0 || to == std::string_view::npos) return all;
  constexpr int repetitions = 4;
  for (int i = 0; i < repetitions; ++i) {
    const std::size_t at = split.next() * split.next() % input.size();
    all.append(first.substr(0, from)).append(input.substr(at, split.next()));
    all.append(first.substr(to));
  }
  return all;
}

// The first request several times, each time with another value of one field: pieces of the input,
// mostly short.
std::string with_varied_field(std::string_view input, std::size_t request_bytes, splitter split) {
  const std::string_view first = input.substr(0, request_bytes);
  std::vector<std::size_t> colons; // of the field lines, or what looks like them
  for (std::size_t at = first.find('\n'); at != std::string_view::npos;
       at = first.find('\n', at + 1))
    if (const std::size_t colon = first.find(':', at); colon != std::string_view::npos)
      colons.push_back(colon);
  if (colons.empty()) return std::string(first);
  const std::size_t value_at = colons[split.next() % colons.size()] + 1;
  const std::size_t value_end = std::min(first.find('\r', value_at), first.size());
  std::string all(first);
  constexpr int repetitions = 4;
  for (int i = 0; i < repetitions; ++i) {
    const std::size_t from = split.next() * split.next() % input.size();
    all += first.substr(0, value_at);
    all += input.substr(from, split.next());
    all += first.substr(value_end);
  }
  return all;
}

// The same by one parser for all, the input growing in random steps and moving at each.
std::vector<parsed> parse_split(std::string_view input, splitter split) {
  std::vector<parsed> found;
  request_parser parser(limits);
  std::string received; // but for whole requests, and as the parser left it
  for (;;) {
    const std::size_t more = std::min(input.size(), split.next());
    received.append(input.substr(0, more));
    input.remove_prefix(more);
    exact_copy piece(received);
    std::span<char> rest = piece.bytes();
    for (;;) {
      const parse_result result = parser.parse(rest);
      if (result.status == parse_status::need_more && !input.empty()) break;
      found.push_back(describe(result, parser));
      if (result.status != parse_status::complete) return found;
      rest = rest.subspan(result.consumed);
      parser.reset();
    }
    received.assign(rest.data(), rest.size());
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<parsed> fresh = parse_fresh(input);
  check(parse_by_one(input) == fresh, "the same request whatever was parsed before");
  if (fresh.front().status == parse_status::complete) {
    const std::string varied = with_varied_field(input, fresh.front().consumed, splitter(data[0]));
    check(parse_by_one(varied) == parse_fresh(varied), "the same request if a value varies");
    const std::string paths = with_varied_path(input, fresh.front().consumed, splitter(data[0]));
    check(parse_by_one(paths) == parse_fresh(paths), "the same request if the path varies");
  }
  const std::vector<parsed> split = parse_split(input, splitter(data[0]));
  for (std::size_t i = 0; i < fresh.size() && i < split.size(); ++i) {
    parsed one = fresh[i];
    parsed other = split[i];
    if (one.status == parse_status::refused || other.status == parse_status::refused) {
      // A fault may show before the end of the head is there, or only then, and which of several is
      // named depends on it; that there is one does not.
      const bool waits =
          one.status == parse_status::need_more || other.status == parse_status::need_more;
      check(waits || one.status == other.status, "refused either way");
      return 0;
    }
    check(one == other, "the same request however it is split");
  }
  check(fresh.size() == split.size(), "the same number of requests");
  return 0;
}
