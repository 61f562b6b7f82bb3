// Writes Prometheus' text format into a string: families with their HELP and TYPE line, and the
// samples of each behind it.
//
//   metrics_writer metrics{out};
//   metrics.family("keyvalue_cache_gets_total", metric_type::counter, "GETs by result.");
//   metrics.sample({{"result", "hit"}}, hits);
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "metrics/latency_histogram.hpp"
#include "metrics/number_text.hpp"

namespace kvcache::observe {

inline constexpr std::string_view prometheus_content_type =
    "text/plain; version=0.0.4; charset=utf-8";

enum class metric_type : std::uint8_t { counter, gauge, histogram };

class metrics_writer {
public:
  struct label {
    std::string_view name;
    std::string_view value; // any bytes: what the format or UTF-8 forbid is replaced
  };
  using labels = std::initializer_list<label>;

  // Appends to `out`, which must outlive the writer.
  explicit metrics_writer(std::string& out) noexcept : out_(out) {}

  // Starts a family. The name must stay valid until the next one; `help` has no line break.
  void family(std::string_view name, metric_type type, std::string_view help);

  // REQUIRES: a family of type counter or gauge was started.
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number>
  void sample(labels with, Number value) {
    write_series("", with, {});
    append_number(out_, value);
    out_ += '\n';
  }

  // A family of one sample without labels.
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number>
  void single(std::string_view name, metric_type type, std::string_view help, Number value) {
    family(name, type, help);
    sample({}, value);
  }

  // The buckets, sum and count of a distribution of durations, in seconds. The bounds are the
  // powers of two from 2^10 ns (1 µs) to 2^33 ns (8.6 s), where counting is exact. REQUIRES: a
  // family of type histogram was started.
  void distribution(label with, const latency_snapshot& latency);

private:
  // Name, labels and the blank before the value; `bound`, if any, becomes the label le.
  void write_series(std::string_view suffix, labels with, std::string_view bound);
  void write_label(const label& written);

  std::string& out_;
  std::string_view name_;
};

} // namespace kvcache::observe
