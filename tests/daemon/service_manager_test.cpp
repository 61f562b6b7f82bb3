// The real program under a service manager: a fake NOTIFY_SOCKET, and a thread that really hangs.
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/running_program.hpp"
#include "e2e/token_file.hpp"
#include "support/raw_client.hpp"
#include "support/service_manager.hpp"

namespace kvcache::tests {
namespace {

using test::get_request;
using test::notify_socket;
using test::raw_client;

// A program with this manager; its port is that of its status.
class service : public running_program {
public:
  explicit service(notify_socket& manager, std::vector<std::string> arguments = {},
                   const char* watchdog_us = nullptr)
      : running_program(with_port(std::move(arguments)), [&manager, watchdog_us] {
          ::setenv("NOTIFY_SOCKET", manager.name().c_str(), 1);
          if (watchdog_us != nullptr) ::setenv("WATCHDOG_USEC", watchdog_us, 1);
        }) {}

private:
  static std::vector<std::string> with_port(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--port=0", "--threads=2"});
    return arguments;
  }
};

// Suspends one thread of a child process, and no other.
class suspended_thread {
public:
  explicit suspended_thread(pid_t thread) : thread_(thread) {
    is_suspended_ = ::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0 &&
                    ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 &&
                    ::waitpid(thread, nullptr, __WALL) == thread;
  }
  ~suspended_thread() { resume(); }
  suspended_thread(const suspended_thread&) = delete;
  suspended_thread& operator=(const suspended_thread&) = delete;

  explicit operator bool() const { return is_suspended_; }
  void resume() {
    if (std::exchange(is_suspended_, false)) ::ptrace(PTRACE_DETACH, thread_, nullptr, nullptr);
  }

private:
  const pid_t thread_;
  bool is_suspended_ = false;
};

// Of a thread: the system call in which it waits, and how often it has waited.
struct thread_waits {
  long call = -1; // none: the thread runs
  long number = 0;
};

thread_waits waits_of(const std::filesystem::path& task) {
  thread_waits found;
  std::ifstream{task / "syscall"} >> found.call;
  std::ifstream status{task / "status"};
  for (std::string word; status >> word;)
    if (word == "voluntary_ctxt_switches:") status >> found.number;
  return found;
}

// Of all threads, only workers wait in epoll.
bool is_worker(const thread_waits& waits) {
#ifdef SYS_epoll_wait
  if (waits.call == SYS_epoll_wait) return true;
#endif
  return waits.call == SYS_epoll_pwait;
}

// The others wait for a change, mostly for ever; those of the evictor and the clock, only for time.
bool is_periodic(const thread_waits& waits) {
  constexpr long changes_most = 20; // lines of the log
  return waits.call == SYS_futex && waits.number > changes_most;
}

// The threads of a process of which this is true; fewer than `number` after the patience.
std::vector<pid_t> find_threads(pid_t process, bool (*predicate)(const thread_waits&),
                                std::size_t number) {
  std::vector<pid_t> found;
  const auto end = std::chrono::steady_clock::now() + raw_client::patience;
  while (found.size() < number && std::chrono::steady_clock::now() < end) {
    found.clear();
    for (const auto& task :
         std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task"})
      if (predicate(waits_of(task.path())))
        found.push_back(std::stoi(task.path().filename().string()));
  }
  return found;
}

TEST(service, is_ready_once_connections_are_accepted_and_reports_when_it_stops) {
  notify_socket manager;
  service program{manager};
  EXPECT_EQ(manager.receive(), "READY=1");
  const std::string status = manager.receive();
  const std::string begin = "STATUS=serving on 127.0.0.1:";
  ASSERT_TRUE(status.starts_with(begin)) << status;
  const auto port = static_cast<std::uint16_t>(std::stoi(status.substr(begin.size())));
  EXPECT_EQ(raw_client{port}.ask(get_request("/readyz")).status, 200U);
  program.send_signal(SIGTERM);
  EXPECT_EQ(manager.receive(), "STOPPING=1");
  EXPECT_EQ(manager.receive(), "STATUS=draining");
  EXPECT_EQ(program.wait_for_end(), 0);
  EXPECT_TRUE(manager.is_empty());
}

TEST(service, is_not_ready_if_it_cannot_start) {
  notify_socket manager;
  service program{manager, {"--max-connections=x"}};
  EXPECT_EQ(program.wait_for_end(), 2);
  EXPECT_TRUE(manager.is_empty());
}

TEST(service, is_ready_again_after_each_reload_whatever_its_result) {
  test::token_file tokens{"read-write 0123456789abcdef\n"};
  notify_socket manager;
  service program{manager, {"--auth-token-file=" + tokens.path()}};
  manager.receive_next("STATUS=serving");
  program.send_signal(SIGHUP);
  EXPECT_TRUE(manager.receive().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_NE(program.wait_for_line("tokens in force"), "");
  tokens.write("every-right 0123456789abcdef\n");
  program.send_signal(SIGHUP);
  EXPECT_TRUE(manager.receive().starts_with("RELOADING=1\n"));
  EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_NE(program.wait_for_line("tokens unchanged"), "");
}

TEST(service, is_ready_again_after_a_reload_of_nothing) {
  notify_socket manager;
  service program{manager};
  manager.receive_next("STATUS=serving");
  program.send_signal(SIGHUP);
  EXPECT_TRUE(manager.receive().starts_with("RELOADING=1\n"));
  EXPECT_EQ(manager.receive(), "READY=1");
}

TEST(service, feeds_the_watchdog) {
  notify_socket manager;
  service program{manager, {}, "1000000"};
  manager.receive_next("STATUS=serving");
  EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  EXPECT_EQ(manager.receive(), "WATCHDOG=1");
}

TEST(service, warns_of_a_watchdog_that_is_too_quick_for_it) {
  notify_socket manager;
  service program{manager, {"--eviction-interval-ms=1000"}, "3000000"};
  EXPECT_NE(program.wait_for_line("WatchdogSec= to at least 4000 ms"), "");
}

// Suspends each such thread in turn; returns the names by which the log reports them.
std::set<std::string> names_of_hanging(bool (*predicate)(const thread_waits&)) {
  constexpr std::size_t threads = 2;
  notify_socket manager;
  service program{manager, {}, "2000000"};
  manager.receive_next("WATCHDOG=1");
  std::set<std::string> names;
  for (const pid_t thread : find_threads(program.pid(), predicate, threads)) {
    suspended_thread hanging{thread};
    if (!hanging) return {};
    const std::string begin = "the thread of ";
    const std::string line = program.wait_for_line(begin);
    const std::size_t at = line.find(begin) + begin.size();
    names.insert(line.substr(at, line.find(" makes no progress") - at));
    while (!manager.is_empty()) manager.receive();
    program.send_signal(SIGHUP); // the main thread runs, and sends nothing else
    EXPECT_TRUE(manager.receive().starts_with("RELOADING=1\n"));
    EXPECT_EQ(manager.receive(), "READY=1");
    hanging.resume();
    EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  }
  return names;
}

TEST(service, does_not_feed_the_watchdog_while_a_worker_hangs) {
  const auto names = names_of_hanging(is_worker);
  if (names.empty()) GTEST_SKIP() << "this user may not trace its processes";
  EXPECT_EQ(names, (std::set<std::string>{"worker 1", "worker 2"}));
}

TEST(service, does_not_feed_the_watchdog_while_the_evictor_or_the_clock_hangs) {
  const auto names = names_of_hanging(is_periodic);
  if (names.empty()) GTEST_SKIP() << "this user may not trace its processes";
  EXPECT_EQ(names, (std::set<std::string>{"evictor", "clock"}));
}

TEST(service, serves_without_a_manager_that_can_be_reached) {
  running_program program{{"--port=0"}, [] {
                            ::setenv("NOTIFY_SOCKET", "@nobody.listens.here", 1);
                            ::setenv("WATCHDOG_USEC", "soon", 1);
                          }};
  EXPECT_NE(program.wait_for_line("WATCHDOG_USEC is 'soon'"), "");
  const std::uint16_t port = program.wait_for_port();
  EXPECT_NE(program.wait_for_line("cannot notify the service manager"), "");
  EXPECT_EQ(raw_client{port}.ask(get_request("/healthz")).status, 200U);
}

} // namespace
} // namespace kvcache::tests
