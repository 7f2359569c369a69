//! A process about whose system calls the kernel asks another: seccomp's notifications.

use std::fmt;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use afunix::Errno;

use super::LONG;

/// A system call that is about to be made.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Call {
    pub number: libc::c_long,
    pub args: [u64; 6],
}

/// Those that may change what others find: a file, or whether somebody is there.
const CHANGES: &[(libc::c_long, &str)] = &[
    (libc::SYS_bind, "bind"),
    (libc::SYS_fchmodat, "fchmodat"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_listen, "listen"),
    #[cfg(not(target_arch = "riscv64"))]
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_unlinkat, "unlinkat"),
];

/// The calls of sockets that 32-bit x86 may make by one call, and the number that they have there.
#[cfg(target_arch = "x86")]
const SOCKETCALLS: [(libc::c_long, u32); 4] =
    [(libc::SYS_socket, 1), (libc::SYS_bind, 2), (libc::SYS_connect, 3), (libc::SYS_listen, 4)];

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

    /// What it is called, of those that tests name.
    pub fn name(&self) -> &'static str {
        let others = [(libc::SYS_connect, "connect"), (libc::SYS_openat, "openat")];
        let mut names = CHANGES.iter().chain(&others);
        names.find(|(number, _)| self.is(*number)).map_or("", |(_, name)| name)
    }

    pub fn changes(&self) -> bool {
        CHANGES.iter().any(|(number, _)| self.is(*number))
    }

    /// Whether it does nothing but wait for some time.
    pub fn is_pause(&self) -> bool {
        // The same where `time_t` is not what it was; elsewhere it is none.
        const PPOLL_TIME64: libc::c_long = 414;
        self.is(libc::SYS_ppoll) || self.is(PPOLL_TIME64)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} {}{:x?}", self.number, self.name(), self.args)
    }
}

/// What asks about the calls of a process.
pub struct Listener(OwnedFd);

impl Listener {
    /// That which another process has [installed](install), under this number.
    pub fn of(pid: i32, number: i32) -> Result<Self, Errno> {
        const SET_FLAGS: u32 = 0x4008_2104; // SECCOMP_IOCTL_NOTIF_SET_FLAGS
        const SYNC_WAKE_UP: u64 = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
        let listener = copy_of(pid, number)?;
        // Only faster, and only since Linux 6.6.
        // SAFETY: it takes a number.
        let _ = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
        Ok(Self(listener))
    }

    /// Whether a call waits for an answer, or does within this time.
    pub fn is_asking(&self, within: Duration) -> bool {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = i32::try_from(within.as_millis()).unwrap();
        // SAFETY: one pollfd.
        let count = unsafe { libc::poll(&raw mut poll, 1, limit) };
        assert!(count >= 0, "{}", std::io::Error::last_os_error());
        assert!(count == 0 || poll.revents & libc::POLLIN != 0, "it has ended");
        count > 0
    }

    /// Waits for a call, and what it is known by in the answer.
    pub fn next(&self) -> (u64, Call) {
        assert!(self.is_asking(LONG), "it neither calls nor ends");
        self.receive().expect("a process that waits")
    }

    fn receive(&self) -> Result<(u64, Call), Errno> {
        const RECV: u32 = 0xc050_2100; // SECCOMP_IOCTL_NOTIF_RECV
        const { assert!(size_of::<libc::seccomp_notif>() == 0x50) };
        // SAFETY: zeros are a value of the request, which is ours to write.
        unsafe {
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            let received = libc::ioctl(self.0.as_raw_fd(), RECV as _, &raw mut asked);
            number(received.into())?;
            Ok((asked.id, Call { number: asked.data.nr.into(), args: asked.data.args }))
        }
    }

    /// Has all calls made that come, to the end of the process.
    pub fn answer_all(&self) {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        while unsafe { libc::poll(&raw mut poll, 1, -1) } == 1 && poll.revents & libc::POLLIN != 0 {
            // It may be killed at any time.
            let Ok((id, call)) = self.receive() else { return };
            if self.send(id, None).is_err() || call.is(libc::SYS_exit_group) {
                return;
            }
        }
    }

    /// Has the call made, or answered with an error.
    pub fn answer(&self, id: u64, error: Option<Errno>) {
        self.send(id, error).expect("a process that waits");
    }

    fn send(&self, id: u64, error: Option<Errno>) -> Result<(), Errno> {
        const SEND: u32 = 0xc018_2101; // SECCOMP_IOCTL_NOTIF_SEND
        const { assert!(size_of::<libc::seccomp_notif_resp>() == 0x18) };
        #[allow(clippy::unnecessary_cast)]
        let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags: go_on };
        if let Some(errno) = error {
            (answer.error, answer.flags) = (-errno.raw_os_error(), 0);
        }
        // SAFETY: the answer outlives the call.
        let sent = unsafe { libc::ioctl(self.0.as_raw_fd(), SEND as _, &raw mut answer) };
        number(sent.into()).map(drop)
    }
}

/// Has this process's calls asked about from now on, by a new descriptor of this number.
pub fn install() -> Result<i32, Errno> {
    let mut program = filter();
    let len = u16::try_from(program.len()).unwrap();
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: numbers, and a program that is as long as it says and outlives the call.
    let listener = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program)
    };
    number(listener)
}

/// What a process does for itself, of which nobody is asked: its memory, its signals, its locks.
const OWN: [libc::c_long; 8] = [
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_futex,
];
const FILTER_LEN: usize = OWN.len() + 3;

fn filter() -> [libc::sock_filter; FILTER_LEN] {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let number = u32::try_from(offset_of!(libc::seccomp_data, nr)).unwrap();
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = [step(RETURN, 0, libc::SECCOMP_RET_ALLOW); FILTER_LEN];
    program[0] = step(LOAD, 0, number);
    for (at, own) in OWN.iter().enumerate() {
        // To the last step, which allows it.
        let over = u8::try_from(OWN.len() - at).unwrap();
        program[1 + at] = step(JUMP_IF_EQUAL, over, u32::try_from(*own).unwrap());
    }
    program[1 + OWN.len()] = step(RETURN, 0, libc::SECCOMP_RET_USER_NOTIF);
    program
}

/// A copy of a descriptor of another process, as that process's children would have one.
pub fn copy_of(pid: i32, number: i32) -> Result<OwnedFd, Errno> {
    let adopt = |answer| {
        // SAFETY: a new descriptor that nothing else owns.
        self::number(answer).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // SAFETY: numbers alone.
    let process = adopt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: as above.
    adopt(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// What a call has answered.
fn number(answer: libc::c_long) -> Result<i32, Errno> {
    let errno = || std::io::Error::last_os_error().raw_os_error().unwrap();
    let number = i32::try_from(answer).unwrap();
    if number < 0 { Err(Errno::from_raw_os_error(errno())) } else { Ok(number) }
}
