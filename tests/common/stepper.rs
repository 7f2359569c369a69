//! A process that stops before each of its system calls and is told there how to go on: so that something
//! can be done between any two of them, one can be refused, or the process be killed at each.
//!
//! It is a copy of the calling process, by `fork`, with a seccomp filter that has the kernel ask this one
//! about each call. Between two calls a process of one thread does nothing that others could see: the stop
//! before a call is the one after the call before, and at the end there is one more.
//!
//! For a child of [`passes_in_child`](super::passes_in_child) alone: what other tests have open, a copy
//! would keep open.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Instant;

use afunix::Errno;

use super::emulated::{FILTER, left_out_by_qemu};
use super::{LONG, skip};

/// A system call that is about to be made.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Call {
    pub number: libc::c_long,
    pub args: [u64; 6],
}

impl Call {
    /// Whether it is this one, or with [`SOCKETCALLS`] what stands for it.
    pub fn is(&self, number: libc::c_long) -> bool {
        #[cfg(target_arch = "x86")]
        if self.number == libc::SYS_socketcall {
            let found = SOCKETCALLS.iter().find(|(_, behind)| u64::from(*behind) == self.args[0]);
            return found.is_some_and(|(named, _)| *named == number);
        }
        self.number == number
    }
}

/// The calls of sockets that 32-bit x86 may make by one call, and the number that they have there.
#[cfg(target_arch = "x86")]
const SOCKETCALLS: [(libc::c_long, u32); 4] =
    [(libc::SYS_socket, 1), (libc::SYS_bind, 2), (libc::SYS_connect, 3), (libc::SYS_listen, 4)];

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}{:x?}", self.number, self.args)
    }
}

/// Where the process stands.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Before a call of the operation, counted from 0.
    Before(usize, Call),
    /// The operation came to its end.
    Done,
    /// All is done, and nothing is closed yet.
    End,
}

/// How it is to go on.
#[derive(Clone, Copy, Debug)]
pub enum Go {
    On,
    /// Without the call, which is answered so.
    Refuse(Errno),
    Kill,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended<R> {
    Told(R),
    Killed,
    Panicked,
}

impl<R> Ended<R> {
    /// What it told; it must have come to its end.
    #[track_caller]
    pub fn told(self) -> R {
        match self {
            Self::Told(answer) => answer,
            Self::Killed => panic!("it was killed"),
            Self::Panicked => panic!("it panicked"),
        }
    }
}

/// What both processes see.
struct Shared<R> {
    /// The descriptor that asks, and 1; or an errno, negative.
    listener: AtomicI32,
    is_done: AtomicBool,
    answer: UnsafeCell<MaybeUninit<R>>,
}

/// Whether processes can be stopped here; if not, says why.
pub fn is_usable() -> bool {
    if left_out_by_qemu(FILTER) {
        return false;
    }
    match try_step(|| (), |()| (), |()| (), |_, _| Go::On) {
        Ok(ended) => ended == Ended::Told(()),
        Err(errno) => {
            skip(format_args!("no process can be asked about its system calls here: {errno}"));
            false
        }
    }
}

/// Has a new process prepare something, make the operation and tell of it. `at` is called at each stop of
/// the operation, with the process's id, and says how to go on.
#[track_caller]
pub fn step<P, T, R: Copy + 'static>(
    prepare: impl FnOnce() -> P,
    operation: impl FnOnce(P) -> T,
    tell: impl FnOnce(T) -> R,
    at: impl FnMut(i32, Stop) -> Go,
) -> Ended<R> {
    try_step(prepare, operation, tell, at).expect("a process that can be asked")
}

fn try_step<P, T, R: Copy + 'static>(
    prepare: impl FnOnce() -> P,
    operation: impl FnOnce(P) -> T,
    tell: impl FnOnce(T) -> R,
    at: impl FnMut(i32, Stop) -> Go,
) -> Result<Ended<R>, Errno> {
    let shared = shared::<R>();
    // SAFETY: the copy has this thread alone, and locks that others may have held it does not need.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        let passed = catch_unwind(AssertUnwindSafe(|| {
            let prepared = prepare();
            if shared.install() {
                let done = operation(prepared);
                shared.is_done.store(true, Ordering::Release);
                let answer = tell(done);
                // SAFETY: nobody else touches it until this process has ended.
                unsafe { (*shared.answer.get()).write(answer) };
            }
        }));
        // SAFETY: a number alone.
        unsafe { libc::_exit(if passed.is_ok() { 0 } else { 101 }) };
    }
    let child = Forked { pid, is_reaped: false };
    let ended = supervise(shared, child, at);
    // SAFETY: mapped by `shared`, with this length; nobody uses it any more.
    unsafe { libc::munmap(std::ptr::from_ref(shared).cast_mut().cast(), size_of::<Shared<R>>()) };
    ended
}

/// Memory that a forked process shares with this one.
fn shared<R: 'static>() -> &'static Shared<R> {
    let (access, how) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: new memory of zeros, page-aligned, which are a value of all but the answer.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), size_of::<Shared<R>>(), access, how, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast()
    }
}

impl<R> Shared<R> {
    /// Installs the filter in this process; whether that could be.
    fn install(&self) -> bool {
        let mut program =
            [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_USER_NOTIF }];
        let program = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
        // SAFETY: numbers, and a program that is as long as it says and outlives the call.
        let listener = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let (mode, flags) =
                (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
            libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program)
        };
        let listener = i32::try_from(listener).unwrap();
        let errno = || std::io::Error::last_os_error().raw_os_error().unwrap();
        self.listener.store(if listener < 0 { -errno() } else { listener + 1 }, Ordering::Release);
        listener >= 0
    }
}

/// A child process, killed with its holder.
struct Forked {
    pid: i32,
    is_reaped: bool,
}

impl Forked {
    /// Its exit status, if it has ended or once it has.
    fn status(&mut self, flags: i32) -> Option<i32> {
        let mut status = 0;
        // SAFETY: the status is ours to write.
        let found = unsafe { libc::waitpid(self.pid, &raw mut status, flags) };
        assert!(found >= 0, "{}", std::io::Error::last_os_error());
        self.is_reaped = found == self.pid;
        self.is_reaped.then_some(status)
    }
}

/// A copy of a descriptor of another process, as that process's children would have one.
pub fn copy_of(pid: i32, number: i32) -> Result<OwnedFd, Errno> {
    let adopt = |fd: libc::c_long| match i32::try_from(fd) {
        // SAFETY: a new descriptor that nothing else owns.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => {
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap();
            Err(Errno::from_raw_os_error(errno))
        }
    };
    // SAFETY: numbers alone.
    let process = adopt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: as above.
    adopt(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

impl Drop for Forked {
    fn drop(&mut self) {
        if !self.is_reaped {
            // SAFETY: a number alone; it is a child that nobody has waited for.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.status(0);
        }
    }
}

fn supervise<R: Copy + 'static>(
    shared: &Shared<R>,
    mut child: Forked,
    mut at: impl FnMut(i32, Stop) -> Go,
) -> Result<Ended<R>, Errno> {
    let start = Instant::now();
    let listener = loop {
        match shared.listener.load(Ordering::Acquire) {
            0 if child.status(libc::WNOHANG).is_some() => return Ok(Ended::Panicked),
            0 => assert!(start.elapsed() < LONG, "it does not begin"),
            errno @ ..0 => return Err(Errno::from_raw_os_error(-errno)),
            number => break copy_of(child.pid, number - 1)?,
        }
        std::thread::yield_now();
    };
    const SET_FLAGS: u32 = 0x4008_2104; // SECCOMP_IOCTL_NOTIF_SET_FLAGS
    const SYNC_WAKE_UP: u64 = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
    // Only faster, and only since Linux 6.6.
    // SAFETY: it takes a number.
    let _ = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
    let (mut count, mut was_done) = (0, false);
    while let Some(asked) = next(&listener) {
        let call = Call { number: asked.data.nr.into(), args: asked.data.args };
        let is_done = shared.is_done.load(Ordering::Acquire);
        let is_end = call.is(libc::SYS_exit_group);
        let mut go = Go::On;
        if !is_done && !is_end {
            go = at(child.pid, Stop::Before(count, call));
            count += 1;
        }
        if is_done && !was_done {
            was_done = true;
            go = at(child.pid, Stop::Done);
        }
        if is_done && is_end && matches!(go, Go::On) {
            go = at(child.pid, Stop::End);
        }
        match go {
            Go::On => answer(&listener, asked.id, 0),
            Go::Refuse(errno) => answer(&listener, asked.id, -errno.raw_os_error()),
            Go::Kill => return Ok(Ended::Killed),
        }
        if is_end {
            break;
        }
    }
    let status = child.status(0).expect("a status");
    let passed = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
    // SAFETY: it is written before the process ends with 0.
    Ok(if passed {
        Ended::Told(unsafe { (*shared.answer.get()).assume_init() })
    } else {
        Ended::Panicked
    })
}

/// The call that the process waits with; none if it has ended.
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    const RECV: u32 = 0xc050_2100; // SECCOMP_IOCTL_NOTIF_RECV
    const { assert!(size_of::<libc::seccomp_notif>() == 0x50) };
    const { assert!(offset_of!(libc::seccomp_data, args) == 16) };
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = i32::try_from(LONG.as_millis()).unwrap();
    // SAFETY: one pollfd; zeros are a value of the request, which is ours to write.
    unsafe {
        assert_eq!(libc::poll(&raw mut poll, 1, limit), 1, "it neither calls nor ends");
        if poll.revents & libc::POLLIN == 0 {
            return None;
        }
        let mut asked: libc::seccomp_notif = std::mem::zeroed();
        let received = libc::ioctl(listener.as_raw_fd(), RECV as _, &raw mut asked);
        // It may have been killed meanwhile.
        (received == 0).then_some(asked)
    }
}

/// Has the call made, for 0, or answered with an error.
fn answer(listener: &OwnedFd, id: u64, error: i32) {
    const SEND: u32 = 0xc018_2101; // SECCOMP_IOCTL_NOTIF_SEND
    const { assert!(size_of::<libc::seccomp_notif_resp>() == 0x18) };
    #[allow(clippy::unnecessary_cast)]
    let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    let flags = if error == 0 { go_on } else { 0 };
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the answer outlives the call.
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut answer) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}
