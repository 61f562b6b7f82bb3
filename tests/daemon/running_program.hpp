// The real program as a child process: its standard error, line by line, and its exit code. The
// destructor kills it if it still runs. Thread-safety: none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvcache::tests {

class running_program {
public:
  // `prepare` is called in the child, with standard error connected, just before the program is
  // executed: for limits, descriptors, users. It must not allocate where the test has threads.
  explicit running_program(const std::vector<std::string>& arguments,
                           const std::function<void()>& prepare = {});
  ~running_program();
  running_program(const running_program&) = delete;
  running_program& operator=(const running_program&) = delete;

  // Reads standard error until a line holds `text`; returns that line, or "" if the program ends
  // before.
  std::string wait_for_line(const std::string& text);

  // The port of its start-up line; 0 if it ended before.
  std::uint16_t wait_for_port();

  // The rest of its standard error, up to its end.
  std::string read_to_end();

  void send_signal(int signal) const;
  pid_t pid() const { return process_; }

  // REQUIRES: it has been sent SIGSTOP.
  void wait_until_stopped() const;

  // Waits for the end; the exit code, or -1 if a signal ended it.
  int wait_for_end();

private:
  bool read_line(std::string& line);

  pid_t process_ = -1;
  int errors_ = -1;
  std::string unread_;
};

} // namespace kvcache::tests
