#include "workload.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace kvcache::bench {

namespace {

constexpr std::string_view key_prefix = "key:";
constexpr std::size_t distinct_value_starts = 64;

// The finisher of splitmix64: spreads lengths over keys without a pattern.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

std::vector<std::uint32_t> read_list(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto bytes = static_cast<std::streamsize>(file.tellg());
  std::vector<std::uint32_t> list(bytes < 0 ? 0 : static_cast<std::size_t>(bytes) / sizeof list[0]);
  file.seekg(0).read(reinterpret_cast<char*>(list.data()), bytes);
  if (!file || list.empty()) {
    throw std::invalid_argument("workload: no list of keys in " + path);
  }
  return list;
}

} // namespace

workload::workload(const workload_options& options) : options_(options) {
  if (options_.keys == 0 || options_.value_bytes_min > options_.value_bytes_max ||
      options_.key_bytes <= key_prefix.size() ||
      options_.keys > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("workload: no keys, too many, or lengths out of order");
  }
  if (options_.order == key_order::shuffled) {
    order_.resize(options_.keys);
    std::iota(order_.begin(), order_.end(), 0U);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(options_.seed));
  } else if (options_.order == key_order::listed) {
    order_ = read_list(options_.list);
  }
  letters_.resize(options_.value_bytes_max + distinct_value_starts);
  for (std::size_t i = 0; i < letters_.size(); ++i) {
    letters_[i] = static_cast<char>('a' + mix(i) % 26);
  }
}

std::uint64_t workload::index_at(std::uint64_t position) const noexcept {
  const std::uint64_t place = position % positions();
  return options_.first_key + (order_.empty() ? place : order_[place]);
}

std::uint64_t workload::positions() const noexcept {
  return order_.empty() ? options_.keys : order_.size();
}

void workload::write_key(std::string& out, std::uint64_t index) const {
  out.clear();
  append_key(out, index);
}

void workload::append_key(std::string& out, std::uint64_t index) const {
  const std::size_t digits_at = out.size() + key_prefix.size();
  out.append(key_prefix).append(options_.key_bytes - key_prefix.size(), '0');
  for (std::size_t at = out.size(); index != 0 && at > digits_at; index /= 10) {
    out[--at] = static_cast<char>('0' + index % 10);
  }
}

std::string_view workload::value_of(std::uint64_t index) const noexcept {
  const std::size_t range = options_.value_bytes_max - options_.value_bytes_min + 1;
  const std::size_t length = options_.value_bytes_min + (range > 1 ? mix(index + 1) % range : 0);
  return std::string_view(letters_).substr(index % distinct_value_starts, length);
}

request_source::request_source(const workload& work, unsigned worker, unsigned workers)
    : work_(work),
      position_(worker),
      end_(work.options().requests),
      stride_(workers),
      random_(work.options().seed + worker) {
  if (end_ == 0) {
    end_ = work.options().order == key_order::random ? std::numeric_limits<std::uint64_t>::max()
                                                     : work.positions();
  }
}

std::optional<std::uint64_t> request_source::next_key() {
  if (position_ >= end_) {
    return std::nullopt;
  }
  const workload_options& options = work_.options();
  const std::uint64_t index = options.order == key_order::random
                                  ? options.first_key + random_() % options.keys
                                  : work_.index_at(position_);
  position_ += stride_;
  return index;
}

std::optional<planned_request> request_source::next() {
  const auto key = next_key();
  if (!key) {
    return std::nullopt;
  }
  const workload_options& options = work_.options();
  // 32 fresh bits against the share: the key must not decide what is done with it.
  const bool reads = options.get_share > 0.0 &&
                     static_cast<double>(random_() >> 32) < options.get_share * 4294967296.0;
  return planned_request{reads           ? operation::get
                         : options.erase ? operation::erase
                                         : operation::put,
                         *key};
}

} // namespace kvcache::bench
