//! The scenarios again, each in a process whose calls of `close` are watched: a descriptor that is
//! closed twice leaves no trace in `/proc/self/fd`, unless the number was given to another file between.

use std::io;
use std::mem::offset_of;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use afunix::IntoRawFd;

use crate::check::null;
use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::{Watchdog, run, skip};

/// By which [`in_child`](crate::common::in_child) knows that it is in the child.
const MARK: &str = "AFUNIX_TEST_CHILD";

/// What was seen of a process.
#[derive(Debug, Default, Eq, PartialEq)]
struct Seen {
    closes: usize,
    /// Of numbers that were not open.
    in_vain: usize,
    /// As by `waitpid`.
    status: i32,
}

/// From here on each `close` of this process and of its threads stops it for the tracer.
fn be_watched() -> io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K

    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD, 0, 0, offset_of!(libc::seccomp_data, nr) as u32),
        step(JUMP_IF_EQUAL, 0, 1, libc::SYS_close as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_TRACE),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: numbers, and a program that is as long as it says and outlives the call.
    let done = unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize) == 0
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Which descriptor a thread that was stopped is about to close.
fn about_to_close(tid: libc::pid_t) -> io::Result<i32> {
    const GET_SYSCALL_INFO: u32 = 0x420e;
    // `struct ptrace_syscall_info`: three words, the number of the call, and its arguments.
    let mut info = [0u64; 11];
    // SAFETY: there is room for as much as is said.
    let len = unsafe { libc::ptrace(GET_SYSCALL_INFO as _, tid, size_of_val(&info), &mut info) };
    match info {
        [_, _, _, number, fd, ..] if len > 0 && number == libc::SYS_close as u64 => Ok(fd as i32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs one test of this program to its end. `None`, and said so, where that is not allowed.
fn watch(test: &str) -> Option<Seen> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, test);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    // SAFETY: it makes system calls alone.
    let spawned = unsafe { command.pre_exec(be_watched) }.spawn();
    let child = match spawned {
        Ok(child) => child.id() as libc::pid_t,
        Err(error) => {
            let forbidden = [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL, libc::EIO];
            assert!(forbidden.contains(&error.raw_os_error().unwrap_or(0)), "{error}");
            skip(format_args!("no process may be watched: {error}"));
            return None;
        }
    };
    let mut seen = Seen::default();
    loop {
        // Of this thread's children alone: other tests wait for their own.
        // SAFETY: the status is ours to write.
        let tid = unsafe { libc::waitpid(-1, &mut seen.status, libc::__WALL | libc::__WNOTHREAD) };
        assert!(tid > 0, "{}", io::Error::last_os_error());
        if libc::WIFSTOPPED(seen.status) {
            resume(child, tid, &mut seen);
        } else if tid == child {
            return Some(seen);
        }
    }
}

/// Looks at why a thread was stopped, and lets it go on.
fn resume(child: libc::pid_t, tid: libc::pid_t, seen: &mut Seen) {
    const OPTIONS: i32 =
        libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    let signal = match seen.status >> 16 {
        0 => libc::WSTOPSIG(seen.status),
        libc::PTRACE_EVENT_SECCOMP => {
            let fd = about_to_close(tid).unwrap();
            let is_open = Path::new(&format!("/proc/{child}/fd/{fd}")).symlink_metadata().is_ok();
            seen.closes += 1;
            seen.in_vain += usize::from(!is_open);
            0
        }
        _ => 0,
    };
    let signal = match signal {
        // The program was started, or a thread.
        libc::SIGTRAP | libc::SIGSTOP => 0,
        signal => signal,
    };
    // SAFETY: numbers alone. A thread that was killed meanwhile is an error that does not matter.
    unsafe {
        if seen.closes == 0 {
            libc::ptrace(libc::PTRACE_SETOPTIONS, tid, 0_usize, OPTIONS as usize);
        }
        libc::ptrace(libc::PTRACE_CONT, tid, 0_usize, signal as usize);
    }
}

/// Watches each test of a module. Not for those that make processes: nobody watches these, and without
/// that each `close` of theirs fails.
fn check_module(module: &str) {
    if left_out_by_qemu(TRACE) {
        return;
    }
    let _watchdog = Watchdog::new();
    let output = run(Command::new(std::env::current_exe().unwrap()).arg("--list"));
    let list = String::from_utf8(output.stdout).unwrap();
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let mut count = 0;
    for test in tests.filter(|test| test.starts_with(module)) {
        let Some(seen) = watch(test) else { return };
        assert!(libc::WIFEXITED(seen.status) && libc::WEXITSTATUS(seen.status) == 0, "{test}");
        assert!(seen.closes > 5, "{test}: {seen:?}");
        assert_eq!(seen.in_vain, 0, "{test}: {seen:?}");
        count += 1;
    }
    assert!(count > 10, "{module} has {count} tests");
}

#[test]
fn planted_second_close_is_caught() {
    const TEST: &str = "closes::planted_second_close_is_caught";
    if left_out_by_qemu(TRACE) {
        return;
    }
    let _watchdog = Watchdog::new();
    if std::env::var_os(MARK).is_some_and(|mark| mark == TEST) {
        let fds = [null(), null(), null()].map(IntoRawFd::into_raw_fd);
        // SAFETY: the numbers are ours.
        unsafe {
            assert_eq!(fds.map(|fd| libc::close(fd)), [0; 3]);
            assert_eq!(libc::close(fds[1]), -1);
            assert_eq!(libc::close(fds[0]), -1);
        }
        std::process::exit(0);
    }
    let Some(seen) = watch(TEST) else { return };
    assert_eq!((seen.in_vain, seen.status), (2, 0), "{seen:?}");
    assert!(seen.closes >= 5, "{seen:?}");
}

#[test]
fn nothing_is_closed_twice_by_who_gives_up_early() {
    check_module("dropped::");
}

#[test]
fn nothing_is_closed_twice_by_batches() {
    check_module("batches::");
}

#[test]
fn nothing_is_closed_twice_whatever_a_peer_sends() {
    check_module("hostile::");
}

#[test]
fn nothing_is_closed_twice_where_no_number_is_free() {
    check_module("exhausted::");
}

#[test]
fn nothing_is_closed_twice_by_calls_that_are_interrupted() {
    check_module("interrupted::");
}
