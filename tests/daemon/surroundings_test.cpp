// The real program in adverse environments: readers that do not read, closed descriptors, limits,
// file systems that do not respond, inherited children.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "daemon/running_program.hpp"
#include "support/full_pipe.hpp"
#include "support/raw_client.hpp"

namespace kvcache::tests {
namespace {

namespace fs = std::filesystem;
using test::full_pipe;
using test::get_request;
using test::post_request;
using test::put_request;
using test::raw_client;

// An unprivileged user without other processes.
constexpr uid_t nobody_else = 64'321;

std::function<void()> with_standard_error(int descriptor) {
  return [descriptor] { dup2(descriptor, STDERR_FILENO); };
}

std::string text_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// Waits for the condition. False after a time that a working machine never needs.
template <class Condition>
bool becomes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// The port in the first line of a log that is written to a file.
std::uint16_t wait_for_port_in(const fs::path& log) {
  const std::string before = "listening on 127.0.0.1:";
  std::string text;
  becomes_true([&] {
    text = text_of(log);
    const auto at = text.find(before);
    return at != std::string::npos && text.find('\n', at) != std::string::npos;
  });
  const auto at = text.find(before);
  if (at == std::string::npos) return 0;
  return static_cast<std::uint16_t>(std::strtoul(text.c_str() + at + before.size(), nullptr, 10));
}

// A mask of /proc/[pid]/status.
std::uint64_t signals_of(const running_program& program, const std::string& name) {
  const std::string text = text_of("/proc/" + std::to_string(program.pid()) + "/status");
  const auto at = text.find(name + ":\t");
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + name.size() + 2, nullptr, 16);
}

class temporary_directory {
public:
  temporary_directory() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the test has one thread
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~temporary_directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  fs::path operator/(const std::string& name) const { return fs::path{path_} / name; }

private:
  std::string path_ = testing::TempDir() + "/surroundingsXXXXXX";
};

// ---- a log without reader ----------------------------------------------------------------------

TEST(program_with_a_stuck_log_reader, serves_and_ends_with_0_on_sigterm) {
  for (const bool access_log : {false, true}) {
    std::vector<std::string> arguments{"--port=0"};
    if (access_log) arguments.emplace_back("--access-log");
    running_program program{arguments};
    const std::uint16_t port = program.wait_for_port();
    ASSERT_NE(port, 0);
    // From here on the pipe is full.
    const int filled = open(("/proc/" + std::to_string(program.pid()) + "/fd/2").c_str(),
                            O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(filled, 0);
    while (write(filled, "x", 1) == 1) {
    }
    close(filled);
    raw_client client{port};
    for (int i = 0; i < 10; ++i) EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
    program.send_signal(SIGTERM);
    EXPECT_EQ(program.wait_for_end(), 0) << "access log: " << access_log;
  }
}

TEST(program_with_a_stuck_log_reader, ends_with_0_on_sigterm_at_a_stopped_terminal) {
  int terminal = -1;
  int user = -1;
  ASSERT_EQ(openpty(&user, &terminal, nullptr, nullptr, nullptr), 0);
  running_program program{{"--port=0", "--access-log"}, with_standard_error(terminal)};
  std::string said;
  std::array<char, 256> piece{};
  while (said.find("listening on") == std::string::npos) {
    const ssize_t got = read(user, piece.data(), piece.size());
    ASSERT_GT(got, 0) << said;
    said.append(piece.data(), static_cast<std::size_t>(got));
  }
  ASSERT_EQ(tcflow(terminal, TCOOFF), 0); // Ctrl-S
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
  close(terminal);
  close(user);
}

TEST(program_with_a_stuck_log_reader, ends_with_1_if_the_port_is_in_use) {
  running_program first{{"--port=0"}};
  const std::string port = std::to_string(first.wait_for_port());
  for (const char* access_log : {"--access-log=false", "--access-log"}) {
    const full_pipe pipe;
    running_program second{{"--port=" + port, access_log}, with_standard_error(pipe.writing_end())};
    EXPECT_EQ(second.wait_for_end(), 1) << access_log;
  }
}

TEST(program_with_a_stuck_log_reader, ends_with_2_for_an_invalid_option) {
  const full_pipe pipe;
  running_program program{{"--prot=1"}, with_standard_error(pipe.writing_end())};
  EXPECT_EQ(program.wait_for_end(), 2);
}

TEST(program_with_a_stuck_log_reader, ends_with_1_as_a_failed_health_check) {
  const full_pipe pipe;
  running_program program{{"--health-check", "--port=0"}, with_standard_error(pipe.writing_end())};
  EXPECT_EQ(program.wait_for_end(), 1);
}

// ---- standard descriptors -----------------------------------------------------------------------

TEST(program, serves_and_ends_with_0_without_standard_descriptors) {
  running_program program{{"--port=0"}, [] {
                            for (const int descriptor : {0, 1, 2}) close(descriptor);
                          }};
  const fs::path files = "/proc/" + std::to_string(program.pid()) + "/fd";
  const auto target = [&](const std::string& name) {
    std::error_code error;
    return fs::read_symlink(files / name, error).string();
  };
  ASSERT_TRUE(becomes_true([&] { // it listens
    for (int descriptor = 0; descriptor < 64; ++descriptor)
      if (target(std::to_string(descriptor)).starts_with("socket:")) return true;
    return false;
  }));
  for (const char* name : {"0", "1", "2"}) EXPECT_EQ(target(name), "/dev/null");
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(program, ends_with_1_if_its_output_cannot_be_written) {
  for (const char* what : {"--help", "--version", "--print-config"}) {
    running_program full{{what}, [] {
                           const int device = open("/dev/full", O_WRONLY | O_CLOEXEC);
                           dup2(device, STDOUT_FILENO);
                         }};
    EXPECT_NE(full.wait_for_line("cannot write to standard output: No space left"), "") << what;
    EXPECT_EQ(full.wait_for_end(), 1) << what;
    running_program closed{{what}, [] { close(STDOUT_FILENO); }};
    EXPECT_EQ(closed.wait_for_end(), 1) << what;
  }
}

TEST(program, continues_to_serve_at_the_size_limit_of_its_log_file) {
  const temporary_directory directory;
  const fs::path log = directory / "log";
  running_program program{{"--port=0", "--access-log"}, [&log] {
                            const rlimit one_kib{1024, 1024};
                            setrlimit(RLIMIT_FSIZE, &one_kib);
                            dup2(open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
                                 STDERR_FILENO);
                          }};
  const std::uint16_t port = wait_for_port_in(log);
  ASSERT_NE(port, 0);
  raw_client client{port};
  while (fs::file_size(log) < 1024) ASSERT_EQ(client.ask(get_request("/healthz")).status, 200U);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.ask(get_request("/healthz")).status, 200U);
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
}

#ifndef KVCACHE_SANITIZED // an instrumented program needs more addresses than that
TEST(program, shows_what_it_can_address_as_its_limit_where_that_is_less_than_memory) {
  running_program program{{"--port=0"}, [] {
                            constexpr rlim_t three_gib = rlim_t{3} << 30;
                            const rlimit addresses{three_gib, three_gib};
                            setrlimit(RLIMIT_AS, &addresses);
                          }};
  const std::string line = program.wait_for_line("listening on");
  // Of 2 GiB of addresses, 53 % serve blocks of the worst size, and these may be 71 % of the limit.
  EXPECT_NE(line.find("memory limit 1532 MiB (the most that one instance can address; run several "
                      "to use more)"),
            std::string::npos)
      << line;
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
}
#endif

// ---- token files --------------------------------------------------------------------------------

TEST(program_with_a_token_file, ends_on_sigterm_after_a_sighup_that_finds_a_fifo) {
  const temporary_directory directory;
  const fs::path tokens = directory / "tokens";
  std::ofstream{tokens} << "read-only first\n";
  running_program program{{"--port=0", "--auth-token-file=" + tokens.string()}};
  ASSERT_NE(program.wait_for_port(), 0);
  fs::remove(tokens);
  ASSERT_EQ(mkfifo(tokens.c_str(), 0600), 0);
  program.send_signal(SIGHUP);
  const std::string line = program.wait_for_line("tokens unchanged");
  EXPECT_NE(line.find("it is not a regular file"), std::string::npos) << line;
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(program_with_a_token_file, ends_with_2_if_the_file_is_a_fifo) {
  const temporary_directory directory;
  const fs::path tokens = directory / "tokens";
  ASSERT_EQ(mkfifo(tokens.c_str(), 0600), 0);
  running_program program{{"--port=0", "--auth-token-file=" + tokens.string()}};
  EXPECT_NE(program.wait_for_line("it is not a regular file"), "");
  EXPECT_EQ(program.wait_for_end(), 2);
}

TEST(program_with_a_token_file, warns_at_start_and_on_sighup_if_every_user_may_read_it) {
  const temporary_directory directory;
  const fs::path tokens = directory / "tokens";
  std::ofstream{tokens} << "read-only first\n";
  ASSERT_EQ(chmod(tokens.c_str(), 0644), 0);
  running_program program{{"--port=0", "--auth-token-file=" + tokens.string()}};
  EXPECT_NE(program.wait_for_line("every user of this machine may read it (mode 0644)"), "");
  ASSERT_NE(program.wait_for_port(), 0);
  program.send_signal(SIGHUP);
  EXPECT_NE(program.wait_for_line("every user of this machine may read it (mode 0644)"), "");
}

// A file system whose server never responds: every access blocks, as on a network mount without its
// server. Thread-safety: none.
class dead_mount {
public:
  explicit dead_mount(fs::path where) : where_(std::move(where)) {
    server_ = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string options =
        "fd=" + std::to_string(server_) + ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = server_ >= 0 && mount("dead", where_.c_str(), "fuse", 0, options.c_str()) == 0;
    error_ = errno;
  }
  ~dead_mount() {
    if (mounted_) umount2(where_.c_str(), MNT_DETACH);
    if (server_ >= 0) close(server_);
  }
  dead_mount(const dead_mount&) = delete;
  dead_mount& operator=(const dead_mount&) = delete;

  bool mounted() const { return mounted_; }
  int error() const { return error_; }

private:
  fs::path where_;
  int server_ = -1;
  bool mounted_ = false;
  int error_ = 0;
};

TEST(program_with_a_token_file, ends_on_sigterm_while_its_file_system_does_not_respond) {
#ifdef KVCACHE_SANITIZED
  GTEST_SKIP() << "a leak check stops all threads first, which this one's file system prevents";
#endif
  const temporary_directory directory;
  const fs::path tokens = directory / "tokens";
  const fs::path dead = directory / "dead";
  fs::create_directory(dead);
  std::ofstream{directory / "good"} << "read-only first\n";
  fs::create_symlink(directory / "good", tokens);
  const dead_mount mount{dead};
  if (!mount.mounted())
    GTEST_SKIP() << "no FUSE mount can be made here: "
                 << std::generic_category().message(mount.error());

  running_program running{{"--port=0", "--auth-token-file=" + tokens.string()}};
  const std::uint16_t port = running.wait_for_port();
  ASSERT_NE(port, 0);
  fs::remove(tokens);
  fs::create_symlink(dead / "tokens", tokens);
  running.send_signal(SIGHUP);
  ASSERT_TRUE(
      becomes_true([&] { return signals_of(running, "ShdPnd") == 0; })); // it has been delivered
  running.send_signal(SIGHUP);
  EXPECT_NE(running.wait_for_line("check that its file system"), "");
  EXPECT_EQ(
      raw_client{port}.ask(get_request("/get?key=a", "Authorization: Bearer first\r\n")).status,
      404U);
  running.send_signal(SIGTERM);
  EXPECT_EQ(running.wait_for_end(), 0);

  running_program starting{{"--port=0", "--auth-token-file=" + tokens.string()}};
  // From then on the signal does not kill it.
  ASSERT_TRUE(
      becomes_true([&] { return (signals_of(starting, "SigBlk") >> (SIGTERM - 1) & 1U) != 0; }));
  starting.send_signal(SIGTERM);
  EXPECT_NE(starting.wait_for_line("stopped before it could serve"), "");
  EXPECT_EQ(starting.wait_for_end(), 0);
}

TEST(program_with_a_snapshot_file, serves_and_ends_with_1_while_its_disk_does_not_respond) {
#ifdef KVCACHE_SANITIZED
  GTEST_SKIP() << "a leak check stops all threads first, which this one's file system prevents";
#endif
  const temporary_directory directory;
  const fs::path dead = directory / "dead";
  fs::create_directory(dead);
  fs::create_directory(directory / "disk");
  const fs::path place = directory / "place";
  fs::create_symlink(directory / "disk", place);
  const dead_mount mount{dead};
  if (!mount.mounted())
    GTEST_SKIP() << "no FUSE mount can be made here: "
                 << std::generic_category().message(mount.error());

  running_program running{{"--port=0", "--enable-snapshot", "--snapshot-timeout-ms=100",
                           "--snapshot-file=" + (place / "snapshot").string()}};
  const std::uint16_t port = running.wait_for_port();
  ASSERT_NE(port, 0);
  const std::string snapshot = post_request("/snapshot", "");
  EXPECT_EQ(raw_client{port}.ask(snapshot).status, 200U);
  fs::remove(place);
  fs::create_symlink(dead, place);
  std::array<raw_client, 2> clients{raw_client{port}, raw_client{port}};
  for (raw_client& each : clients) each.send(snapshot);
  raw_client* rejected = nullptr; // the other one waits for the disk
  ASSERT_TRUE(becomes_true([&] {
    for (raw_client& each : clients)
      if (each.receive_some(1)) rejected = &each;
    return rejected != nullptr;
  }));
  EXPECT_EQ(rejected->read_reply().status, 409U);
  EXPECT_EQ(raw_client{port}.ask(get_request("/get?key=a")).status, 404U);
  running.send_signal(SIGTERM);
  EXPECT_NE(running.wait_for_line("its disk does not respond"), "");
  EXPECT_EQ(running.wait_for_end(), 1);
}

// ---- limits -------------------------------------------------------------------------------------

#ifndef KVCACHE_SANITIZED // an instrumented program has more threads and larger frames

// A cgroup for processes, removed at the end. Thread-safety: none.
class process_group {
public:
  explicit process_group(unsigned most) {
    const bool v1 = fs::exists("/sys/fs/cgroup/pids");
    const fs::path top = v1 ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
    if (!v1) std::ofstream{top / "cgroup.subtree_control"} << "+pids" << std::endl;
    path_ = top / ("kvcache-test-" + std::to_string(getpid()));
    std::error_code error;
    if (!fs::create_directory(path_, error)) return;
    std::ofstream limit{path_ / "pids.max"};
    limit << most << std::endl;
    made_ = limit.good();
  }
  ~process_group() {
    becomes_true([this] { return rmdir(path_.c_str()) == 0 || errno != EBUSY; });
  }
  process_group(const process_group&) = delete;
  process_group& operator=(const process_group&) = delete;

  bool made() const { return made_; }
  const fs::path& path() const { return path_; }

private:
  fs::path path_;
  bool made_ = false;
};

TEST(program, names_the_process_limit_of_its_cgroup_if_that_prevents_its_start) {
  for (const unsigned most : {1U, 2U, 3U, 4U, 5U}) { // at each thread that it starts
    const process_group group{most};
    if (!group.made()) GTEST_SKIP() << "no control group for processes can be made here";
    running_program program{{"--port=0", "--threads=2"},
                            [&group] { std::ofstream{group.path() / "cgroup.procs"} << getpid(); }};
    const std::string line = program.wait_for_line("cannot start 9 threads: ");
    EXPECT_NE(line.find((group.path() / "pids.max").string() + " is " + std::to_string(most)),
              std::string::npos)
        << line;
    EXPECT_EQ(program.wait_for_end(), 1);
  }
}

TEST(program, names_the_process_limit_of_its_user_if_that_prevents_its_start) {
  running_program program{{"--port=0"}, [] {
                            const rlimit one{1, 1};
                            setrlimit(RLIMIT_NPROC, &one);
                            if (geteuid() == 0 && setuid(nobody_else) != 0) _exit(126);
                          }};
  EXPECT_NE(program.wait_for_line("(ulimit -u) is 1; raise it or lower --threads"), "");
  EXPECT_EQ(program.wait_for_end(), 1);
}

TEST(program, names_the_limit_of_open_files_if_that_prevents_its_start) {
  for (const rlim_t most : {6U, 8U, 10U, 12U}) {
    running_program program{{"--port=0", "--threads=2"}, [most] {
                              const rlimit few{most, most};
                              setrlimit(RLIMIT_NOFILE, &few);
                            }};
    const std::string line = program.wait_for_line("Too many open files");
    EXPECT_NE(line.find("the limit of open files (ulimit -n) is " + std::to_string(most)),
              std::string::npos)
        << most << ": " << line;
    EXPECT_EQ(program.wait_for_end(), 1) << most;
  }
}

TEST(program, names_the_limit_of_open_files_where_its_token_file_cannot_be_opened) {
  const temporary_directory directory;
  const fs::path tokens = directory / "tokens";
  std::ofstream{tokens} << "read-write secret\n";
  const std::string option = "--auth-token-file=" + tokens.string();
  for (const rlim_t most : {12U, 14U, 16U}) {
    running_program program{{"--port=0", "--threads=2", option}, [most] {
                              const rlimit few{most, most};
                              setrlimit(RLIMIT_NOFILE, &few);
                            }};
    const std::string line = program.wait_for_line("Too many open files");
    EXPECT_NE(line.find(option.substr(0, option.find('='))), std::string::npos) << line;
    EXPECT_NE(line.find("(ulimit -n) is " + std::to_string(most)), std::string::npos) << line;
    EXPECT_EQ(program.wait_for_end(), 1) << most;
  }
}

TEST(program, names_an_unavailable_address_and_a_privileged_port) {
  running_program elsewhere{{"--port=0", "--bind=192.0.2.1"}};
  EXPECT_NE(elsewhere.wait_for_line("no interface of this machine has this address"), "");
  EXPECT_EQ(elsewhere.wait_for_end(), 1);
  if (text_of("/proc/sys/net/ipv4/ip_unprivileged_port_start") == "0\n")
    return; // every user may use every port here
  running_program low{{"--port=1"}, [] {
                        if (geteuid() == 0 && setuid(nobody_else) != 0) _exit(126);
                      }};
  EXPECT_NE(low.wait_for_line("Permission denied: a port below 1024 needs"), "");
  EXPECT_EQ(low.wait_for_end(), 1);
}

std::function<void()> with_stack_kib(rlim_t kib) {
  return [kib] {
    const rlimit bytes{kib << 10, kib << 10};
    setrlimit(RLIMIT_STACK, &bytes);
    if (geteuid() == 0 && setuid(nobody_else) != 0) _exit(126); // a user who may not raise it
  };
}

TEST(program, serves_with_a_small_stack) {
  for (const rlim_t kib : {384U, 512U}) {
    running_program program{{"--port=0"}, with_stack_kib(kib)};
    const std::uint16_t port = program.wait_for_port();
    ASSERT_NE(port, 0) << kib;
    raw_client client{port};
    EXPECT_EQ(client.ask(put_request("a", "b")).status, 200U);
    EXPECT_EQ(client.ask(get_request("/metrics")).status, 200U);
    program.send_signal(SIGTERM);
    EXPECT_EQ(program.wait_for_end(), 0) << kib;
  }
}

TEST(program, ends_with_a_message_if_the_stack_is_too_small) {
  running_program program{{"--port=0"}, with_stack_kib(160)};
  EXPECT_NE(program.wait_for_line("the stack limit (ulimit -s) leaves"), "");
  EXPECT_EQ(program.wait_for_end(), 1);
}

#endif

// ---- inherited children -------------------------------------------------------------------------

// Starts a process whose parent ends immediately, and that ends when `pipe` is closed. Its number
// is written to `number_to`.
void leave_an_orphan(int pipe, int number_to) {
  if (fork() != 0) return;
  if (fork() != 0) _exit(0);
  const pid_t self = getpid();
  [[maybe_unused]] const ssize_t written = write(number_to, &self, sizeof(self));
  char byte = 0;
  [[maybe_unused]] const ssize_t got = read(pipe, &byte, 1);
  _exit(0);
}

TEST(program, reaps_adopted_orphans) {
  std::array<int, 2> life{};
  std::array<int, 2> number{};
  ASSERT_EQ(pipe2(life.data(), O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(number.data(), O_CLOEXEC), 0);
  running_program program{{"--port=0"}, [&] {
                            close(life[1]);
                            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); // it adopts orphans
                            leave_an_orphan(life[0], number[1]);
                          }};
  ASSERT_NE(program.wait_for_port(), 0);
  pid_t orphan = 0;
  ASSERT_EQ(read(number[0], &orphan, sizeof(orphan)), static_cast<ssize_t>(sizeof(orphan)));
  const std::string parent = "PPid:\t" + std::to_string(program.pid()) + "\n";
  const fs::path status = "/proc/" + std::to_string(orphan) + "/status";
  ASSERT_TRUE(becomes_true([&] { return text_of(status).find(parent) != std::string::npos; }));
  close(life[1]); // it ends
  EXPECT_TRUE(becomes_true([&] { return kill(orphan, 0) != 0 && errno == ESRCH; }))
      << text_of(status);
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
  for (const int end : {life[0], number[0], number[1]}) close(end);
}

// ---- options ------------------------------------------------------------------------------------

TEST(program, prints_the_memory_limit_in_force_and_its_source) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  running_program program{{"--print-config", "--memory-limit=64M"},
                          [&] { dup2(ends[1], STDOUT_FILENO); }};
  close(ends[1]);
  EXPECT_EQ(program.wait_for_end(), 0);
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t got = 0; (got = read(ends[0], piece.data(), piece.size())) > 0;)
    text.append(piece.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  EXPECT_NE(
      text.find("memory-limit=64M # flag --memory-limit; in force: 64 MiB (--memory-limit)\n"),
      std::string::npos)
      << text;
}

#ifndef KVCACHE_SANITIZED // an instrumented program does not start within 32 MiB
TEST(program, warns_at_start_if_the_memory_limit_is_too_small_for_the_longest_value) {
  running_program program{{"--port=0", "--memory-limit=32M", "--max-value-chars=1000000"}};
  EXPECT_NE(program.wait_for_line("warn  the memory limit, 32 MiB (--memory-limit), is too small"),
            "");
}
#endif

} // namespace
} // namespace kvcache::tests
