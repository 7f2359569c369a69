//! Waiting between two attempts, without a wait that nothing can end and without a loop that never rests.

use core::time::Duration;

use linux_raw_sys::general;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::connect;

use super::Deadline;
use crate::addr::UnixAddr;
use crate::sys::fd::borrow;
use crate::sys::socket::{Kind, socket};
use crate::{BorrowedFd, Errno, OwnedFd};

/// What is to be done after an attempt that was `EAGAIN`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// Another attempt.
    Attempt,
    /// No other one: the socket was shut for reading and is empty, which a receive that waits
    /// says at once, and one that does not wait never.
    Ended,
}

/// A call that shall be done before its deadline: attempts that do not wait, and waits between them.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    fd: BorrowedFd<'a>,
    deadline: Deadline,
    wanted: PollFlags,
    /// To whom a datagram is sent, if not to the peer.
    to: Option<&'a UnixAddr>,
    /// Connected there: of its own queue a socket is told nothing but by that of its peer.
    probe: Option<OwnedFd>,
    /// When the last wait began.
    began: Option<Deadline>,
    /// How many waits there were that ended at once and for nothing, more or less of late.
    in_vain: u32,
    /// What the last wait saw.
    shut: bool,
}

/// `POLLRDHUP`, which rustix does not have on each architecture.
// It is 0x2000, or 0x800.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
const SHUT: PollFlags = PollFlags::from_bits_retain(general::POLLRDHUP as _);

/// A wait that is shorter than this has been no wait.
const AT_ONCE: Duration = Duration::from_millis(1);

/// More than this are not counted: the pause between two attempts is 16 milliseconds by then.
const MOST_IN_VAIN: u32 = 6;

/// `poll` does not tell a sender of all that would end the wait: a peer that will not read any more, or
/// that takes messages of another now; a queue that is not that of its peer.
const LONGEST_TO_SEND: Duration = Duration::from_millis(100);

/// Where a process is stopped and goes on, the kernel waits for what was left when it was stopped, as if no
/// time had passed. So no wait is long, and the clock is looked at again.
const LONGEST_TO_RECEIVE: Duration = Duration::from_secs(1);

/// How long to wait where `poll` cannot be asked.
const BLIND: Duration = Duration::from_millis(16);

impl<'a> Waiting<'a> {
    /// For receives, and `accept`.
    #[inline]
    pub(crate) const fn to_receive(fd: BorrowedFd<'a>, deadline: Deadline) -> Self {
        Self::new(fd, deadline, PollFlags::IN.union(SHUT), None)
    }

    /// For sends. An address is for datagrams alone: other types must not be given one here.
    #[inline]
    pub(crate) const fn to_send(
        fd: BorrowedFd<'a>,
        deadline: Deadline,
        to: Option<&'a UnixAddr>,
    ) -> Self {
        Self::new(fd, deadline, PollFlags::OUT, to)
    }

    #[inline]
    const fn new(
        fd: BorrowedFd<'a>,
        deadline: Deadline,
        wanted: PollFlags,
        to: Option<&'a UnixAddr>,
    ) -> Self {
        Self { fd, deadline, wanted, to, probe: None, began: None, in_vain: 0, shut: false }
    }

    /// Makes attempts, none of which may wait, until one is not `EAGAIN`. `None`: the socket was shut for
    /// reading, and nothing will come.
    #[inline]
    pub(crate) fn attempts<T>(
        mut self,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> Result<Option<T>, Errno> {
        loop {
            match attempt() {
                Err(Errno::AGAIN) => {}
                result => return result.map(Some),
            }
            if self.turn()? == Turn::Ended {
                return Ok(None);
            }
        }
    }

    /// [`attempts`](Self::attempts) inside out: after each that was `EAGAIN`, whether to make another.
    #[inline]
    pub(crate) fn once_more(&mut self) -> Result<bool, Errno> {
        self.turn().map(|turn| turn == Turn::Attempt)
    }

    #[cold]
    fn turn(&mut self) -> Result<Turn, Errno> {
        if self.shut {
            return Ok(Turn::Ended);
        }
        let mut now = Deadline::now()?;
        let mut left = now.until(self.deadline);
        // That a socket was shut shall be told by a call that may not wait, too.
        let past = left.is_zero();
        if past && (self.began.is_some() || self.wanted == PollFlags::OUT) {
            return Err(Errno::TIMEDOUT);
        }
        self.in_vain = match self.began {
            Some(began) if began.until(now) < AT_ONCE => {
                self.in_vain.saturating_add(1).min(MOST_IN_VAIN)
            }
            // One alone may look longer than it was: on a machine with too much to do.
            _ => self.in_vain / 2,
        };
        // The first two may be somebody else's luck, or for a sender two things to wait for.
        if let Some(more) = self.in_vain.checked_sub(2) {
            // 1 to 16.
            let pause = Duration::from_millis(1_u64.checked_shl(more).unwrap_or(1));
            wait(&mut [], left.min(pause))?;
            now = Deadline::now()?;
            left = now.until(self.deadline);
        }
        self.began = Some(now);
        let ready = self.wait(left)?;
        if past && ready == 0 { Err(Errno::TIMEDOUT) } else { Ok(Turn::Attempt) }
    }

    fn wait(&mut self, left: Duration) -> Result<usize, Errno> {
        if self.wanted == PollFlags::OUT {
            let left = left.min(LONGEST_TO_SEND);
            // Of the two queues that may be full, its own and that at the address, each has its turn.
            if let (Some(to), true) = (self.to, self.in_vain.is_multiple_of(2)) {
                if let Some(probe) = self.probe(to) {
                    return wait(&mut [PollFd::from_borrowed_fd(probe, PollFlags::OUT)], left);
                }
            }
            return wait(&mut [PollFd::from_borrowed_fd(self.fd, PollFlags::OUT)], left);
        }
        let mut asked = [PollFd::from_borrowed_fd(self.fd, self.wanted)];
        let ready = wait(&mut asked, left.min(LONGEST_TO_RECEIVE))?;
        let [asked] = asked;
        self.shut = asked.revents().contains(SHUT);
        Ok(ready)
    }

    /// A socket that `poll` tells of whether there is room at this address, if there can be one.
    fn probe(&mut self, to: &UnixAddr) -> Option<BorrowedFd<'_>> {
        let probe = match self.probe.take() {
            Some(probe) => probe,
            None => socket(Kind::Datagram).ok()?.0,
        };
        // Each time: another socket may have the name by now.
        connect(borrow(&probe), to).ok()?;
        Some(borrow(self.probe.insert(probe)))
    }
}

/// Whether nobody will send any more. Where that cannot be learned the answer is no.
pub(crate) fn hung_up(fd: BorrowedFd<'_>) -> bool {
    loop {
        match poll_for(&mut [PollFd::from_borrowed_fd(fd, SHUT)], Duration::ZERO) {
            Ok(count) => return count > 0,
            // It does not wait: no signal keeps it from its answer for long.
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Does nothing for so long, or until a signal comes.
pub(crate) fn pause(time: Duration) -> Result<(), Errno> {
    poll_for(&mut [], time).map(drop)
}

/// Waits for at most so long, and gives how many are ready, or may be.
fn wait(asked: &mut [PollFd<'_>], time: Duration) -> Result<usize, Errno> {
    match poll_for(asked, time) {
        // No descriptor may be asked about where the limit on their number is 0, as in a sandbox.
        Err(Errno::INVAL) if !asked.is_empty() => poll_for(&mut [], time.min(BLIND)).map(|_| 1),
        answer => answer,
    }
}

fn poll_for(asked: &mut [PollFd<'_>], time: Duration) -> Result<usize, Errno> {
    // More is not waited for at once: what is left is looked at again.
    const MOST: u64 = 0x7fff_ffff;
    let seconds = i64::try_from(time.as_secs().min(MOST)).unwrap_or(0);
    // Less than a billion; its width is the machine's.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    let nanoseconds = time.subsec_nanos().try_into().unwrap_or(0);
    poll(asked, Some(&Timespec { tv_sec: seconds, tv_nsec: nanoseconds }))
}
