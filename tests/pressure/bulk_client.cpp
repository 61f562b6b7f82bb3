#include "pressure/bulk_client.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <thread>
#include <vector>

namespace kvcache::test {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

} // namespace

bulk_result& bulk_result::operator+=(const bulk_result& more) {
  ok += more.ok;
  missed += more.missed;
  refused += more.refused;
  other += more.other;
  corrupt += more.corrupt;
  return *this;
}

std::string numbered_entries::key(std::uint64_t number) const {
  std::string text = "key-0000000000000000";
  for (std::size_t at = text.size(); number != 0; number >>= 4) text[--at] = digits[number & 15];
  return text.substr(text.size() - key_bytes);
}

std::string numbered_entries::value(std::uint64_t number) const {
  std::uint64_t mixed = number + 1;
  const auto mix = [&] { mixed = mixed * 6364136223846793005ULL + 1442695040888963407ULL; };
  mix();
  const std::size_t bytes = value_bytes + (mixed >> 32) % (value_bytes_max - value_bytes + 1);
  std::string text;
  text.reserve(bytes + 16);
  while (text.size() < bytes) {
    mix();
    for (unsigned shift = 32; shift < 64; shift += 4) text += digits[mixed >> shift & 15];
  }
  text.resize(bytes);
  return text;
}

bulk_result bulk_client::put(std::uint64_t first, std::uint64_t count) {
  return run(
      first, count,
      [&](std::uint64_t n) { return put_request(entries_.key(n), entries_.value(n)); },
      [](std::uint64_t, const http_reply&) { return true; });
}

bulk_result bulk_client::get(std::uint64_t first, std::uint64_t count) {
  return run(
      first, count, [&](std::uint64_t n) { return get_request("/get?key=" + entries_.key(n)); },
      [&](std::uint64_t n, const http_reply& reply) {
        return reply.body == R"({"status":"OK","key":")" + entries_.key(n) + R"(","value":")" +
                                 entries_.value(n) + R"("})";
      });
}

bulk_result bulk_client::mix(std::uint64_t first, std::uint64_t count, std::uint64_t behind) {
  bulk_result sum;
  for (std::uint64_t at = first, end = first + count; at < end; at += batch) {
    const std::uint64_t now = std::min(batch, end - at);
    sum += put(at, now);
    sum += get(at - behind, now);
  }
  return sum;
}

bulk_result
bulk_client::run(std::uint64_t first, std::uint64_t count,
                 const std::function<std::string(std::uint64_t)>& request,
                 const std::function<bool(std::uint64_t, const http_reply&)>& is_right) {
  bulk_result result;
  for (std::uint64_t at = first, end = first + count; at < end;) {
    const std::uint64_t batch_end = std::min(at + batch, end);
    std::string requests;
    for (std::uint64_t n = at; n < batch_end; ++n) requests += request(n);
    connection_.send(requests);
    for (; at < batch_end; ++at) {
      const http_reply reply = connection_.read_reply();
      switch (reply.status) {
      case 200:
        ++result.ok;
        if (!is_right(at, reply)) ++result.corrupt;
        break;
      case 404:
        ++result.missed;
        break;
      case 503:
        ++result.refused;
        break;
      default:
        ++result.other;
      }
    }
  }
  return result;
}

namespace {

template <class Work>
bulk_result spread(std::uint64_t first, std::uint64_t count, unsigned connections, Work work) {
  std::vector<bulk_result> results(connections);
  std::vector<std::thread> threads;
  const std::uint64_t share = (count + connections - 1) / connections;
  for (unsigned i = 0; i < connections; ++i) {
    const std::uint64_t from = std::min(count, i * share);
    const std::uint64_t to = std::min(count, from + share);
    threads.emplace_back([&results, i, from, to, first, &work] {
      try {
        results[i] = work(first + from, to - from);
      } catch (const std::exception& failure) {
        std::fprintf(stderr, "connection %u: %s\n", i, failure.what());
        results[i].other += to - from;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  bulk_result sum;
  for (const bulk_result& r : results) sum += r;
  return sum;
}

} // namespace

bulk_result put_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, unsigned connections) {
  return spread(first, count, connections, [&](std::uint64_t from, std::uint64_t n) {
    return bulk_client(port, entries).put(from, n);
  });
}

bulk_result get_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, unsigned connections) {
  return spread(first, count, connections, [&](std::uint64_t from, std::uint64_t n) {
    return bulk_client(port, entries).get(from, n);
  });
}

bulk_result mix_all(std::uint16_t port, numbered_entries entries, std::uint64_t first,
                    std::uint64_t count, std::uint64_t behind, unsigned connections) {
  return spread(first, count, connections, [&](std::uint64_t from, std::uint64_t n) {
    return bulk_client(port, entries).mix(from, n, behind);
  });
}

} // namespace kvcache::test
