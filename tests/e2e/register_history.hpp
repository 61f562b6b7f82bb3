// The operations of several clients on one key, and a check that they are linearizable: that some
// order of all operations respects real time and lets each read return the value last written (Wing
// and Gong, 1993).
//
// A cache may lose a value at any time, so a miss is always possible, and the key is empty from
// then on: a lost value never reappears. Each value is written once and identified by a number, so
// that a condition on its tag is one on the number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace kvcache::test {

inline constexpr std::uint64_t nothing = 0; // no value has this number

struct operation {
  enum class kind : std::uint8_t {
    put,
    get,
    erase,
    create,   // a put that succeeds only if there is no value
    swap,     // a put that succeeds only if the value is `expected`
    erase_if, // an erasure that succeeds only if the value is `expected`
    incr      // adds 1, to 0 if there is no value, and returns the sum: of keys that are counters
  };
  // Why nothing was done; `differs` includes the absence of a value, but not for erase_if.
  enum class refusal : std::uint8_t { none, differs, missing };
  // What a put has found, as far as the response shows it.
  enum class presence : std::uint8_t { unknown, absent, present };

  kind what = kind::get;
  std::uint64_t value = nothing;      // written, or returned; `nothing` is a miss
  std::uint64_t expected = nothing;   // of swap and erase_if; none of them expects `nothing`
  refusal refused = refusal::none;    // of create, swap and erase_if
  presence found = presence::unknown; // by put
  bool erased = false;                // by erase: there was a value
  std::uint64_t called = 0;           // order of calls and returns over all clients
  std::uint64_t returned = 0;
};

enum class losses : std::uint8_t { none, at_any_time };

class register_history {
public:
  explicit register_history(std::size_t clients) : clients_(clients) {}

  // In the order of the client, which executes them sequentially.
  void add(std::size_t client, const operation& done) { clients_[client].push_back(done); }

  bool has_order(losses allowed) const {
    std::set<state> seen;
    return search({std::vector<std::size_t>(clients_.size(), 0), nothing}, allowed, seen);
  }

private:
  // The number of completed operations of each client, and the value after them.
  using state = std::pair<std::vector<std::size_t>, std::uint64_t>;

  // Whether the register may return this; if so, applies the operation.
  static bool explains(const operation& op, losses allowed, std::uint64_t& value) {
    const bool may_be_empty = value == nothing || allowed == losses::at_any_time;
    switch (op.what) {
    case operation::kind::put:
      if (op.found == operation::presence::absent && !may_be_empty) return false;
      if (op.found == operation::presence::present && value == nothing) return false;
      value = op.value;
      return true;
    case operation::kind::get:
      if (op.value == nothing ? !may_be_empty : op.value != value) return false;
      value = op.value;
      return true;
    case operation::kind::erase:
      if (op.erased ? value == nothing : !may_be_empty) return false;
      value = nothing;
      return true;
    case operation::kind::create:
      if (op.refused != operation::refusal::none) return value != nothing;
      if (!may_be_empty) return false;
      value = op.value;
      return true;
    case operation::kind::incr:
      if (op.value != value + 1 && !(may_be_empty && op.value == 1)) return false;
      value = op.value;
      return true;
    case operation::kind::swap:
    case operation::kind::erase_if:
      return explains_condition(op, may_be_empty, value);
    }
    return false;
  }

  static bool explains_condition(const operation& op, bool may_be_empty, std::uint64_t& value) {
    const bool erases = op.what == operation::kind::erase_if;
    switch (op.refused) {
    case operation::refusal::none:
      if (value != op.expected) return false;
      value = erases ? nothing : op.value;
      return true;
    case operation::refusal::differs:
      if (value != op.expected) return value != nothing || !erases;
      if (erases || !may_be_empty) return false;
      value = nothing; // it has been lost
      return true;
    case operation::refusal::missing:
      if (!erases || !may_be_empty) return false;
      value = nothing;
      return true;
    }
    return false;
  }

  bool search(const state& from, losses allowed, std::set<state>& seen) const {
    if (!seen.insert(from).second) return false; // no order continued from here
    const auto& [done, value] = from;
    bool all_done = true;
    std::uint64_t first_return = UINT64_MAX; // no operation called after this can be next
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      if (done[c] == clients_[c].size()) continue;
      all_done = false;
      first_return = std::min(first_return, clients_[c][done[c]].returned);
    }
    if (all_done) return true;
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      if (done[c] == clients_[c].size() || clients_[c][done[c]].called > first_return) continue;
      state next = from;
      if (!explains(clients_[c][done[c]], allowed, next.second)) continue;
      ++next.first[c];
      if (search(next, allowed, seen)) return true;
    }
    return false;
  }

  std::vector<std::vector<operation>> clients_;
};

} // namespace kvcache::test
