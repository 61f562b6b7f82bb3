// Prints the body of /metrics of the sample snapshot, for promtool.
#include <iostream>

#include "report/prometheus_text.hpp"
#include "report/sample_snapshot.hpp"

int main() {
  std::cout << kvcache::observe::prometheus_text(kvcache::observe::sample_snapshot());
  return std::cout.flush() ? 0 : 1;
}
