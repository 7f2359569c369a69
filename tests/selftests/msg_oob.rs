//! Urgent bytes: what is received when, where the mark is, the signal for each.

use std::cell::Cell;
use std::time::Duration;

use afunix::{AsRawFd, Errno, UnixStream};

use crate::check::{Checks, Outcome, answered};
use crate::traits::set_option;

mod scripts;

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// Sends bytes.
    Send(&'static [u8]),
    /// Sends bytes of which the last is urgent.
    SendOob(&'static [u8]),
    /// Receives into a buffer of this size, and these.
    Recv(usize, &'static [u8]),
    /// Receives nothing: `EAGAIN`.
    RecvNone,
    /// Receives the urgent byte.
    RecvOob(&'static [u8]),
    /// Receives no urgent byte: `EINVAL`.
    RecvNoOob,
    /// Has the urgent byte come with the others from here on.
    Inline,
}

/// What is done, whether an urgent byte waits then (`EPOLLPRI`), and whether the next byte is at the mark.
type Step = (Do, bool, bool);

/// The steps, and what the sender receives when the receiver has closed.
struct Script {
    steps: &'static [Step],
    end: Result<usize, Errno>,
}

thread_local! {
    /// How many signals came for urgent data.
    static URGENT: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn count(_: libc::c_int) {
    URGENT.set(URGENT.get() + 1);
}

/// The pair: the second has the signal, and an epoll that waits for nothing else.
struct Pair {
    sender: UnixStream,
    receiver: UnixStream,
    epoll: afunix::OwnedFd,
}

/// `struct f_owner_ex`.
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    pid: libc::pid_t,
}

/// `F_SETOWN_EX`, of a thread (`F_OWNER_TID`).
const SET_OWNER: (libc::c_int, libc::c_int) = (15, 0);

impl Pair {
    fn new() -> Self {
        let (sender, receiver) = UnixStream::pair().unwrap();
        for socket in [&sender, &receiver] {
            socket.set_nonblocking(true).unwrap();
        }
        let fd = receiver.as_raw_fd();
        // SAFETY: the handler adds to a number of its thread. What is pointed to lives until the calls
        // are done, and the descriptor is nobody else's.
        let epoll = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
            assert_eq!(libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut()), 0);
            // To this thread, so that it has it before the call that raised it is done.
            let owner = Owner { kind: SET_OWNER.1, pid: libc::gettid() };
            assert_eq!(libc::fcntl(fd, SET_OWNER.0, &raw const owner), 0);
            let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(epoll >= 0);
            let mut event = libc::epoll_event { events: libc::EPOLLPRI as u32, u64: 0 };
            assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event), 0);
            <afunix::OwnedFd as rustix::fd::FromRawFd>::from_raw_fd(epoll)
        };
        Self { sender, receiver, epoll }
    }

    fn send_oob(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let flags = libc::MSG_OOB | libc::MSG_NOSIGNAL;
        // SAFETY: as many bytes are there.
        answered(unsafe {
            libc::send(self.sender.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
        })
    }

    fn recv_oob(&self, buf: &mut [u8], peek: bool) -> Result<usize, Errno> {
        let flags = libc::MSG_OOB | if peek { libc::MSG_PEEK } else { 0 };
        // SAFETY: as many bytes are writable.
        answered(unsafe {
            libc::recv(self.receiver.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), flags)
        })
    }

    /// What one receive gives, of which kind ever.
    fn recv(&self, what: Do, room: usize, peek: bool) -> Result<Vec<u8>, Errno> {
        let mut buf = vec![0; room];
        let count = match (what, peek) {
            (Do::RecvOob(_) | Do::RecvNoOob, _) => self.recv_oob(&mut buf, peek),
            (_, true) => self.receiver.peek(&mut buf),
            (_, false) => self.receiver.read(&mut buf),
        };
        buf.truncate(count?);
        Ok(buf)
    }

    /// Whether an urgent byte waits.
    fn is_urgent(&self) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let epoll = AsRawFd::as_raw_fd(&self.epoll);
        // SAFETY: there is room for one event.
        let count = unsafe { libc::epoll_wait(epoll, &raw mut event, 1, 0) };
        let events = event.events;
        assert!(count == 0 || (count, events) == (1, libc::EPOLLPRI as u32), "{count}, {events}");
        count == 1
    }

    /// Whether the next byte is at the mark.
    fn is_at_mark(&self) -> bool {
        let mut answer: libc::c_int = -1;
        // SAFETY: the answer is a C `int`.
        let done =
            unsafe { libc::ioctl(self.receiver.as_raw_fd(), SIOCATMARK as _, &raw mut answer) };
        assert_eq!(done, 0);
        answer == 1
    }
}

const SIOCATMARK: u32 = 0x8905;

/// One step, with a peek before each receive if that is asked for.
fn step(checks: &Checks, pair: &Pair, what: Do, peek: bool) -> Outcome {
    let before = URGENT.get();
    let (room, wanted) = match what {
        Do::Send(bytes) => {
            checks.same("send", pair.sender.write(bytes), Ok(bytes.len()))?;
            return checks.same("signals", URGENT.get(), before);
        }
        Do::SendOob(bytes) => {
            checks.same("send", pair.send_oob(bytes), Ok(bytes.len()))?;
            return checks.same("signals", URGENT.get(), before + 1);
        }
        Do::Inline => {
            let set = set_option(&pair.receiver, libc::SO_OOBINLINE, 1);
            return checks.same("SO_OOBINLINE", set, Ok(()));
        }
        Do::Recv(room, wanted) => (room, Ok(wanted.to_vec())),
        Do::RecvNone => (1, Err(Errno::AGAIN)),
        Do::RecvOob(wanted) => (1, Ok(wanted.to_vec())),
        Do::RecvNoOob => (1, Err(Errno::INVAL)),
    };
    if peek {
        checks.same("peek", pair.recv(what, room, true), wanted.clone())?;
    }
    checks.same("receive", pair.recv(what, room, false), wanted)?;
    checks.same("signals", URGENT.get(), before)
}

fn runs(checks: &Checks, steps: &[Step], end: Result<usize, Errno>, peek: bool) -> Outcome {
    let pair = Pair::new();
    for (number, &(what, urgent, mark)) in steps.iter().enumerate() {
        let at = |wrong| format!("step {number}, {what:?}: {wrong}");
        step(checks, &pair, what, peek).map_err(at)?;
        checks.same("EPOLLPRI", pair.is_urgent(), urgent).map_err(at)?;
        checks.same("SIOCATMARK", pair.is_at_mark(), mark).map_err(at)?;
    }
    drop(pair.receiver);
    pair.sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    checks.same("the sender's end", pair.sender.read(&mut [0]), end)
}

macro_rules! scripts {
    ($($name:ident $script:ident),+ $(,)?) => {
        cases!(no_peek: $($name |checks| {
            let Script { steps, end } = scripts::$script;
            runs(checks, steps, end, false)
        }),+);
        cases!(peek: $($name |checks| {
            let Script { steps, end } = scripts::$script;
            runs(checks, steps, end, true)
        }),+);

        /// All of them.
        const ALL: &[Script] = &[$(scripts::$script),+];
    };
}

scripts!(
    non_oob NON_OOB,
    non_oob_no_reset NON_OOB_NO_RESET,
    oob OOB,
    oob_reset OOB_RESET,
    oob_drop OOB_DROP,
    oob_ahead OOB_AHEAD,
    oob_break OOB_BREAK,
    oob_ahead_break OOB_AHEAD_BREAK,
    oob_break_drop OOB_BREAK_DROP,
    ex_oob_break EX_OOB_BREAK,
    ex_oob_drop EX_OOB_DROP,
    ex_oob_drop_2 EX_OOB_DROP_2,
    ex_oob_oob EX_OOB_OOB,
    ex_oob_ex_oob EX_OOB_EX_OOB,
    ex_oob_ex_oob_oob EX_OOB_EX_OOB_OOB,
    ex_oob_ahead_break EX_OOB_AHEAD_BREAK,
    ex_oob_siocatmark EX_OOB_SIOCATMARK,
    inline_oob INLINE_OOB,
    inline_oob_break INLINE_OOB_BREAK,
    inline_oob_ahead_break INLINE_OOB_AHEAD_BREAK,
    inline_ex_oob_break INLINE_EX_OOB_BREAK,
    inline_ex_oob_no_drop INLINE_EX_OOB_NO_DROP,
    inline_ex_oob_drop INLINE_EX_OOB_DROP,
    inline_ex_oob_siocatmark INLINE_EX_OOB_SIOCATMARK,
);

/// The same, with another expectation of what is received.
const fn falsified(what: Do) -> Do {
    match what {
        Do::Recv(..) => Do::RecvNone,
        Do::RecvNone => Do::Recv(1, b"o"),
        Do::RecvOob(_) => Do::RecvNoOob,
        Do::RecvNoOob => Do::RecvOob(b"o"),
        what => what,
    }
}

/// Each expectation of each step in turn, and of each end.
fn wrong(checks: &Checks) -> Outcome {
    for &Script { steps, end } in ALL {
        for (number, &(what, urgent, mark)) in steps.iter().enumerate() {
            let fails = |step| {
                let mut falsified = steps.to_vec();
                falsified[number] = step;
                let words = format!("step {number}, ");
                checks.fails(&words, |checks| runs(checks, &falsified, end, false))
            };
            fails((what, !urgent, mark))?;
            fails((what, urgent, !mark))?;
            if !matches!(what, Do::Send(_) | Do::SendOob(_) | Do::Inline) {
                fails((falsified(what), urgent, mark))?;
            }
        }
        let other = if end == Ok(0) { Err(Errno::CONNRESET) } else { Ok(0) };
        checks.fails("the sender's end", |checks| runs(checks, steps, other, false))?;
    }
    Ok(())
}

cases!(control: wrong_expectations_fail wrong);
