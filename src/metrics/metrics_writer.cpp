#include "metrics/metrics_writer.hpp"

#include <array>

namespace kvcache::observe {
namespace {

constexpr std::array<std::string_view, 3> type_names{"counter", "gauge", "histogram"};

constexpr unsigned lowest_bound_bits = 10;  // 1.024 µs
constexpr unsigned highest_bound_bits = 33; // 8.59 s
static_assert(highest_bound_bits < latency_buckets::value_bits);

} // namespace

void metrics_writer::family(std::string_view name, metric_type type, std::string_view help) {
  name_ = name;
  out_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out_.append(name).append(" ").append(type_names[static_cast<std::size_t>(type)]).append("\n");
}

void metrics_writer::distribution(label with, const latency_snapshot& latency) {
  std::string bound;
  for (unsigned bits = lowest_bound_bits; bits <= highest_bound_bits; ++bits) {
    const std::uint64_t bound_ns = std::uint64_t{1} << bits;
    bound.clear();
    append_number(bound, static_cast<double>(bound_ns) / 1e9);
    write_series("_bucket", {with}, bound);
    append_number(out_, latency.count_up_to(bound_ns));
    out_ += '\n';
  }
  const std::uint64_t count = latency.count();
  write_series("_bucket", {with}, "+Inf");
  append_number(out_, count);
  out_ += '\n';
  write_series("_sum", {with}, {});
  append_number(out_, static_cast<double>(latency.sum_ns()) / 1e9);
  out_ += '\n';
  write_series("_count", {with}, {});
  append_number(out_, count);
  out_ += '\n';
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
