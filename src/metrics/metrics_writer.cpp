#include "metrics/metrics_writer.hpp"

namespace kvcache::observe {
namespace {

constexpr unsigned lowest_bound_bits = 10;  // 1.024 µs
constexpr unsigned highest_bound_bits = 33; // 8.59 s
static_assert(highest_bound_bits < latency_buckets::value_bits);

} // namespace

void metrics_writer::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  out_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out_.append(name).append(" ").append(type).append("\n");
}

void metrics_writer::distribution(label with, const latency_snapshot& latency) {
  const auto line = [&](std::string_view suffix, std::string_view bound, auto value) {
    write_series(suffix, {with}, bound);
    write_number(value);
    out_ += '\n';
  };
  for (unsigned bits = lowest_bound_bits; bits <= highest_bound_bits; ++bits) {
    const std::uint64_t bound_ns = std::uint64_t{1} << bits;
    char bound[32];
    const auto [end, error] =
        std::to_chars(bound, bound + sizeof bound, static_cast<double>(bound_ns) / 1e9);
    line("_bucket", {bound, end}, latency.count_up_to(bound_ns));
  }
  line("_bucket", "+Inf", latency.count());
  line("_sum", {}, static_cast<double>(latency.sum_ns()) / 1e9);
  line("_count", {}, latency.count());
}

void metrics_writer::distribution(std::span<const std::size_t> bounds,
                                  std::span<const std::uint64_t> counts, std::uint64_t sum) {
  const auto line = [&](std::string_view suffix, std::string_view bound, std::uint64_t value) {
    write_series(suffix, {}, bound);
    write_number(value);
    out_ += '\n';
  };
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    count += counts[i];
    line("_bucket", std::to_string(bounds[i]), count);
  }
  line("_bucket", "+Inf", count);
  line("_sum", {}, sum);
  line("_count", {}, count);
}

void metrics_writer::write_series(std::string_view suffix, labels with, std::string_view bound) {
  out_.append(name_).append(suffix);
  char before = '{';
  for (const label& each : with) {
    out_ += before;
    write_label(each);
    before = ',';
  }
  if (!bound.empty()) {
    out_ += before;
    write_label({"le", bound});
    before = ',';
  }
  out_ += before == ',' ? "} " : " ";
}

void metrics_writer::write_label(const label& written) {
  out_.append(written.name).append("=\"");
  for (const char c : written.value) {
    if (c == '\\' || c == '"') {
      out_ += '\\';
      out_ += c;
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      out_ += "\xef\xbf\xbd"; // U+FFFD: a path may hold any bytes, a label must be UTF-8
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

} // namespace kvcache::observe
