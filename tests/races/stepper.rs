//! A process that is stopped at the entry and at the exit of each of its system calls.

use afunix::Errno;

use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::skip;
use crate::common::trace::{MARK, mark};
use crate::process::{End, Process};

/// One that is stopped, but for the time of its next step.
///
/// What it does begins with a first [`mark`], and ends with a second one.
pub struct Traced(Process);

/// Where one has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// It is about to make this call.
    Entry(Call),
    /// It has made the call.
    Exit,
    /// It has made its second mark.
    Done,
}

/// A system call: its number, and its first argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call(u64, u64);

impl Call {
    /// What it is called, of those that matter here.
    pub fn name(self) -> &'static str {
        #[cfg(target_arch = "x86")]
        if self.is(libc::SYS_socketcall) {
            let names = ["", "socket", "bind", "connect", "listen"];
            return usize::try_from(self.1).ok().and_then(|of| names.get(of)).unwrap_or(&"");
        }
        let names = [
            (libc::SYS_bind, "bind"),
            (libc::SYS_connect, "connect"),
            (libc::SYS_fchmodat, "fchmodat"),
            (libc::SYS_flock, "flock"),
            (libc::SYS_listen, "listen"),
            (libc::SYS_openat, "openat"),
            (libc::SYS_renameat2, "renameat2"),
            (libc::SYS_unlinkat, "unlinkat"),
        ];
        names.iter().find(|(number, _)| self.is(*number)).map_or("", |(_, name)| name)
    }

    /// Whether it may change what others find: a file, or whether somebody is there.
    pub fn changes(self) -> bool {
        ["bind", "fchmodat", "flock", "listen", "renameat2", "unlinkat"].contains(&self.name())
    }

    fn is(self, number: libc::c_long) -> bool {
        u64::try_from(number) == Ok(self.0)
    }

    /// Whether it is that of [`mark`].
    fn is_mark(self) -> bool {
        self.is(libc::SYS_getpgid) && self.1 as i32 == MARK
    }

    /// Whether it does nothing but wait for some time.
    pub fn is_pause(self) -> bool {
        // The same where `time_t` is not what it was; elsewhere it is none.
        const PPOLL_TIME64: libc::c_long = 414;
        self.is(libc::SYS_ppoll) || self.is(PPOLL_TIME64)
    }
}

/// As `linux/ptrace.h` has it, of a system call; the kernel writes more of others.
#[repr(C)]
#[derive(Default)]
struct Info {
    op: u8,
    _pad: [u8; 3],
    _arch: u32,
    _pointers: [u64; 2],
    /// Of an entry: the number of the call. What follows are its arguments.
    number: u64,
    arguments: [u64; 6],
    _rest: [u64; 4],
}

/// A request that takes numbers alone.
fn ptrace(request: libc::c_long, pid: libc::pid_t, data: libc::c_long) -> Result<(), Errno> {
    // SAFETY: no pointer is read or written.
    let done =
        unsafe { libc::syscall(libc::SYS_ptrace, request, libc::c_long::from(pid), 0, data) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap())
}

const TRACEME: libc::c_long = 0;
const DETACH: libc::c_long = 17;
const SYSCALL: libc::c_long = 24;
const SETOPTIONS: libc::c_long = 0x4200;
const GET_SYSCALL_INFO: libc::c_long = 0x420e;
/// That a stop is told from a signal, and that none outlives its tracer.
const OPTIONS: libc::c_long = 1 | 0x10_0000;

/// Whether processes can be traced here; if not, it says so.
pub fn is_there_ptrace() -> bool {
    if left_out_by_qemu(TRACE) {
        return false;
    }
    let probe = Process::start(|| {
        if ptrace(TRACEME, 0, 0).is_err() {
            return 1;
        }
        // SAFETY: a number alone.
        unsafe { libc::raise(libc::SIGSTOP) };
        0
    });
    let mut traced = Traced(probe);
    let answer = traced.wait_for_stop().is_ok() && traced.info().is_ok();
    if !answer {
        skip("the kernel is older than Linux 5.3, or lets nobody be traced");
    }
    answer
}

impl Traced {
    /// Starts one as [`Process::start`], which has to come to its first mark, and is stopped there.
    pub fn start(body: impl FnOnce() -> u8) -> Self {
        let process = Process::start(|| {
            ptrace(TRACEME, 0, 0).expect("to be traced");
            // SAFETY: a number alone.
            unsafe { libc::raise(libc::SIGSTOP) };
            body()
        });
        let mut traced = Self(process);
        assert_eq!(traced.wait_for_stop(), Ok(libc::SIGSTOP));
        ptrace(SETOPTIONS, traced.pid(), OPTIONS).unwrap();
        while traced.step() != Stop::Done {}
        traced.step();
        traced
    }

    fn pid(&self) -> libc::pid_t {
        self.0.pid()
    }

    /// Lets it run until it makes a system call, or until that has been made.
    pub fn step(&mut self) -> Stop {
        self.resume();
        self.stop()
    }

    /// Lets it run until it has made so many calls that [change](Call::changes) something; `None` if it makes
    /// no so many.
    pub fn step_over_changes(&mut self, count: u32) -> Option<()> {
        let mut left = count;
        while left > 0 {
            match self.step() {
                Stop::Done => return None,
                Stop::Entry(call) if call.changes() => {
                    assert_eq!(self.step(), Stop::Exit);
                    left -= 1;
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Lets it run; [`stop`](Self::stop) or [`has_stopped`](Self::has_stopped) is to come next.
    pub fn resume(&self) {
        ptrace(SYSCALL, self.pid(), 0).unwrap();
    }

    /// Waits until it stops.
    pub fn stop(&mut self) -> Stop {
        let signal = self.wait_for_stop().expect("a process that does not end here");
        assert_eq!(signal, libc::SIGTRAP | 0x80, "a signal");
        let info = self.info().unwrap();
        let call = Call(info.number, info.arguments[0]);
        match info.op {
            1 if call.is_mark() => Stop::Done,
            1 => Stop::Entry(call),
            2 => Stop::Exit,
            op => panic!("a stop of kind {op}"),
        }
    }

    /// Where it has stopped, if it has.
    pub fn has_stopped(&mut self) -> bool {
        // SAFETY: zeros are a value of it, and the call writes it.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WSTOPPED | libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        // SAFETY: as above.
        let done =
            unsafe { libc::waitid(libc::P_PID, self.pid().cast_unsigned(), &mut info, flags) };
        assert_eq!(done, 0, "{}", last_errno());
        // SAFETY: the call has written it, or left the zeros.
        unsafe { info.si_pid() != 0 }
    }

    /// The signal that it stops with; the error is how it ended.
    fn wait_for_stop(&mut self) -> Result<i32, End> {
        let mut status = 0;
        // SAFETY: it writes the status.
        let pid = unsafe { libc::waitpid(self.pid(), &mut status, libc::__WALL) };
        assert_eq!(pid, self.pid(), "{}", last_errno());
        if libc::WIFSTOPPED(status) {
            return Ok(libc::WSTOPSIG(status));
        }
        self.0.has_ended();
        Err(End::of(status))
    }

    fn info(&self) -> Result<Info, Errno> {
        let mut info = Info::default();
        let (pid, room) = (libc::c_long::from(self.pid()), size_of::<Info>());
        // SAFETY: there is as much room as said.
        let len =
            unsafe { libc::syscall(libc::SYS_ptrace, GET_SYSCALL_INFO, pid, room, &raw mut info) };
        if len < 0 { Err(last_errno()) } else { Ok(info) }
    }

    /// Kills it where it is.
    pub fn kill(self) {
        assert_eq!(self.0.kill(), End::Signal(libc::SIGKILL));
    }

    /// Lets go of it.
    pub fn detach(self) -> Process {
        ptrace(DETACH, self.pid(), 0).unwrap();
        self.0
    }

    /// Lets it come to its second mark and go on from there.
    pub fn finish(mut self) -> Process {
        while self.step() != Stop::Done {}
        self.detach()
    }
}

/// Does `body` between two marks.
pub fn between_marks<R>(body: impl FnOnce() -> R) -> R {
    mark();
    let result = body();
    mark();
    result
}
