// Writes Prometheus' text format into a string: each family is a HELP and a TYPE line, followed by
// its samples. A family is a counter if its name ends in _total, as Prometheus requires, else a
// gauge.
//
//   metrics_writer metrics{out};
//   metrics.family("keyvalue_cache_gets_total", "GETs by result.");
//   metrics.sample({{"result", "hit"}}, hits);
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "metrics/latency_histogram.hpp"

namespace kvcache::observe {

inline constexpr std::string_view prometheus_content_type =
    "text/plain; version=0.0.4; charset=utf-8";

class metrics_writer {
public:
  struct label {
    std::string_view name;
    std::string_view
        value; // any bytes; those that the format or UTF-8 forbid are escaped or replaced
  };
  using labels = std::initializer_list<label>;

  // Appends to `out`, which must outlive the writer.
  explicit metrics_writer(std::string& out) noexcept : out_(out) {}

  // Starts a family. The name must stay valid until the next one; `help` has no line break.
  void family(std::string_view name, std::string_view help) {
    family(name, name.ends_with("_total") ? "counter" : "gauge", help);
  }
  void histogram(std::string_view name, std::string_view help) { family(name, "histogram", help); }

  // REQUIRES: a family that is no histogram was started.
  void sample(labels with, auto value) {
    write_series("", with, {});
    write_number(value);
    out_ += '\n';
  }

  // A family of one sample without labels.
  void single(std::string_view name, std::string_view help, auto value) {
    family(name, help);
    sample({}, value);
  }

  // The buckets, sum and count of a distribution of durations, in seconds. The bounds are the
  // powers of two from 2^10 ns (1 µs) to 2^33 ns (8.6 s), where counting is exact.
  // REQUIRES: a histogram was started.
  void distribution(label with, const latency_snapshot& latency);

  // The same of numbers: of each bound, how many were above the one before and not above it; those
  // above the last are counted there, too.
  void distribution(std::span<const std::size_t> bounds, std::span<const std::uint64_t> counts,
                    std::uint64_t sum);

private:
  void family(std::string_view name, std::string_view type, std::string_view help);
  // The shortest text that reads back as the same number, in every locale.
  void write_number(auto value) {
    char text[32]; // enough for every 64-bit integer and every double
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
  // Name, labels and the blank before the value; `bound`, if any, becomes the label le.
  void write_series(std::string_view suffix, labels with, std::string_view bound);
  void write_label(const label& written);

  std::string& out_;
  std::string_view name_;
};

} // namespace kvcache::observe
