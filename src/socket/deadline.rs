//! How long a daemon is willing to wait: a moment, and the waiting until then.

mod connecting;
mod methods;
mod waiting;

use core::time::Duration;

pub(crate) use waiting::{Waiting, hung_up, pause};

use crate::Errno;
use crate::sys::clock::monotonic;

/// A moment after which a call does not wait any longer: for `recv_deadline`, `send_deadline` and their
/// likes, and [`RecvOptions::deadline`](crate::RecvOptions::deadline) and
/// [`SendOptions::deadline`](crate::SendOptions::deadline).
///
/// It is a moment and not a time span, so one limits a whole exchange, of as many calls as that takes:
/// no peer that sends a byte now and then makes it longer. Of two the later moment is the greater.
///
/// # What a call with a deadline does
///
/// **It tries first.** What can be done at once is done without a look at the clock, data by one system
/// call as ever. So with a deadline that is past, a call does what needs no wait.
///
/// **It waits in `ppoll`,** not in the call itself, and makes each attempt with `MSG_DONTWAIT`. So
/// nothing is changed that others who hold the socket see, `O_NONBLOCK` or a time limit; nor do those
/// of the socket change what it does; and somebody who takes the message between the wait and the
/// attempt only makes it wait on. (`accept` has no such flag: see
/// [`accept_deadline`](crate::UnixListener::accept_deadline). A backlog is nothing that `ppoll` tells of:
/// [`connect_deadline`](crate::UnixStream::connect_deadline) has a time limit on a socket that is nobody
/// else's yet.) One last attempt is made when the deadline is reached, never before it and as soon
/// after it as the machine can; of a process that was stopped and goes on (`SIGCONT`), up to a second
/// later.
///
/// **`ETIMEDOUT` says that the deadline passed,** for all of them. Nothing was taken or sent then, so
/// the call can be made again. (`EAGAIN` never comes from a call with a deadline.)
///
/// **`EINTR` comes out.** A signal that is caught while it waits ends the wait, even where its handler was
/// installed with `SA_RESTART`. Nothing was taken or sent; make the call again, with the same deadline:
///
/// ```
/// use core::time::Duration;
/// use afunix::{Deadline, Errno, UnixSeqpacket};
///
/// let (a, b) = UnixSeqpacket::pair()?;
/// # let stop = false;
/// let deadline = Deadline::after(Duration::from_millis(20))?;
/// let mut buf = [0; 64];
/// let answer = loop {
///     match b.recv_deadline(&mut buf, deadline) {
///         Err(Errno::INTR) if !stop => {} // a handler may have set it
///         answer => break answer,
///     }
/// };
/// assert_eq!(answer, Err(Errno::TIMEDOUT));
/// # let _ = a;
/// # Ok::<(), Errno>(())
/// ```
///
/// **It does not spin.** There are sockets that `poll` calls ready for ever though there is nothing to be
/// had, such as one whose only byte is urgent. There the attempts become rarer, down to one each 16
/// milliseconds; so they do where `RLIMIT_NOFILE` is 0, and `ppoll` may be asked about nothing. On the other
/// hand `poll` does not tell a sender of all that ends the wait, such as a peer that shuts down reading, so a
/// send looks again each 100 milliseconds, and all else each second.
///
/// # System calls
///
/// | what | at once | when it has to wait, each time around |
/// |---|---|---|
/// | receive | `recvfrom` or `recvmsg` (for an empty buffer of a stream `read`) | `clock_gettime`, `ppoll`, and again |
/// | send | `sendto` or `sendmsg` | `clock_gettime`, `ppoll`, and again |
/// | send of a datagram to an address | `sendto` or `sendmsg` | `clock_gettime`, `connect`, `ppoll`, and again; `socket` before the first `connect`, and `close` at last |
/// | `connect_deadline` | `socket`, `connect`, `ioctl` | `clock_gettime`, `setsockopt`, `connect`; `ioctl` before the first, and `setsockopt` at last |
/// | `accept_deadline` | `fcntl`, `accept4` | `clock_gettime`, `ppoll`, and again |
///
/// At the end of a wait in vain there is a `clock_gettime` more, and with each pause a `ppoll` and a
/// `clock_gettime`. Of a send to an address that has to be made again and again every other wait is for the
/// sender's own buffer, without `connect`. A deadline that is past before anything is
/// done costs that, and for receives and `accept` a `ppoll` that does not wait. A send of an address by
/// [`send_with`](crate::send_with), which does not know the type, has a `getsockopt` before its first wait.
///
/// # What it does not limit
///
/// What takes its time without waiting for the other side. To look up a path in a file system that does not
/// answer; to load memory that was swapped out. And to **close** descriptors that came and are not wanted,
/// which can take as long as their sender likes: see [`Ancillary::take_fds`](crate::Ancillary::take_fds).
///
/// # The clock
///
/// It is `CLOCK_MONOTONIC`, which nobody can set, and which stands still while the machine is suspended.
/// It is asked by a system call.
///
/// # Examples
///
/// A request and its answer within a second, whatever the peer does:
///
/// ```
/// use core::time::Duration;
/// use afunix::{Deadline, Errno, UnixAddr, UnixStream};
///
/// fn ask(server: &UnixAddr, question: &[u8], answer: &mut [u8]) -> Result<usize, Errno> {
///     let deadline = Deadline::after(Duration::from_secs(1))?;
///     let stream = UnixStream::connect_deadline(server, deadline)?;
///     let mut rest = question;
///     while !rest.is_empty() {
///         let count = stream.write_deadline(rest, deadline)?;
///         rest = &rest[count..];
///     }
///     stream.read_deadline(answer, deadline)
/// }
/// # let (listener, name) = afunix::UnixListener::autobind()?;
/// # let server = std::thread::spawn(move || {
/// #     let (stream, _) = listener.accept()?;
/// #     stream.read(&mut [0; 8])?;
/// #     stream.write(b"fine")
/// # });
/// # assert_eq!(ask(&name, b"well?", &mut [0; 8])?, 4);
/// # server.join().unwrap()?;
/// # Ok::<(), Errno>(())
/// ```
///
/// See [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html) and
/// [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
#[doc(alias = "timeout")]
#[doc(alias = "CLOCK_MONOTONIC")]
#[doc(alias = "ppoll")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Deadline {
    // In this order, which makes the later one the greater.
    seconds: i64,
    /// 0 to 999,999,999.
    nanoseconds: i64,
}

const BILLION: i64 = 1_000_000_000;

impl Deadline {
    /// The moment that is `time` from now; with no time at all, now, which is past when it is looked at.
    ///
    /// So much time that there is no number for the moment is for ever, as are 292 thousand million years.
    ///
    /// # Errors
    ///
    /// None that Linux is known to give; what a seccomp filter answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::Deadline;
    ///
    /// let (soon, late) = (Deadline::after(Duration::ZERO)?, Deadline::after(Duration::MAX)?);
    /// assert!(soon < late);
    /// assert_eq!(soon.remaining()?, Duration::ZERO);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
    #[doc(alias = "clock_gettime")]
    #[inline]
    pub fn after(time: Duration) -> Result<Self, Errno> {
        Ok(Self::now()?.plus(time))
    }

    /// How much time is left until then; nothing if it is past.
    ///
    /// # Errors
    ///
    /// As [`after`](Self::after).
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::Deadline;
    ///
    /// let left = Deadline::after(Duration::from_secs(60))?.remaining()?;
    /// assert!(left <= Duration::from_secs(60));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
    #[doc(alias = "clock_gettime")]
    #[inline]
    pub fn remaining(&self) -> Result<Duration, Errno> {
        Ok(Self::now()?.until(*self))
    }

    /// [`remaining`](Self::remaining), but none is `ETIMEDOUT`.
    pub(super) fn time_left(self) -> Result<Duration, Errno> {
        match self.remaining()? {
            Duration::ZERO => Err(Errno::TIMEDOUT),
            left => Ok(left),
        }
    }

    #[inline]
    fn now() -> Result<Self, Errno> {
        let now = monotonic()?;
        Ok(Self { seconds: now.seconds, nanoseconds: now.nanoseconds })
    }

    #[inline]
    fn plus(self, time: Duration) -> Self {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let seconds = self.seconds.saturating_add(seconds);
        // Less than a billion each.
        let nanoseconds = self.nanoseconds.saturating_add(time.subsec_nanos().into());
        match nanoseconds.saturating_sub(BILLION) {
            ..0 => Self { seconds, nanoseconds },
            nanoseconds => Self { seconds: seconds.saturating_add(1), nanoseconds },
        }
    }

    /// From here to a later moment; to an earlier one it is no time at all.
    #[inline]
    fn until(self, later: Self) -> Duration {
        let seconds = later.seconds.saturating_sub(self.seconds);
        let (seconds, nanoseconds) = match later.nanoseconds.saturating_sub(self.nanoseconds) {
            less @ ..0 => (seconds.saturating_sub(1), less.saturating_add(BILLION)),
            nanoseconds => (seconds, nanoseconds),
        };
        match (u64::try_from(seconds), u32::try_from(nanoseconds)) {
            // `Duration::new` can panic only where there is a whole second of nanoseconds.
            (Ok(seconds), Ok(nanoseconds @ 0..1_000_000_000)) => {
                Duration::new(seconds, nanoseconds)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64, nanoseconds: i64) -> Deadline {
        Deadline { seconds, nanoseconds }
    }

    #[test]
    fn a_moment_plus_a_time_carries_and_saturates() {
        let nanos = Duration::from_nanos;
        assert_eq!(at(1, 999_999_999).plus(nanos(1)), at(2, 0));
        assert_eq!(at(1, 999_999_999).plus(nanos(1_999_999_999)), at(3, 999_999_998));
        assert_eq!(at(1, 5).plus(Duration::ZERO), at(1, 5));
        assert_eq!(at(1, 5).plus(Duration::MAX).seconds, i64::MAX);
        assert_eq!(at(0, 0).plus(Duration::new(1 << 63, 0)).seconds, i64::MAX);
        assert!(at(1, 5).plus(Duration::MAX) > at(1, 5).plus(Duration::from_secs(u64::MAX / 4)));
    }

    #[test]
    fn the_time_between_two_moments_borrows_and_is_never_negative() {
        let moments =
            [at(0, 0), at(0, 1), at(0, 999_999_999), at(1, 0), at(7, 3), at(7, 999_999_999)];
        for (position, from) in moments.into_iter().enumerate() {
            for to in &moments[position..] {
                let time = from.until(*to);
                assert_eq!(from.plus(time), *to);
                assert_eq!(to.until(from), Duration::ZERO);
            }
        }
        let ever = at(i64::MAX, 999_999_999);
        assert_eq!(at(0, 0).until(ever), Duration::new(i64::MAX as u64, 999_999_999));
        assert_eq!(ever.until(at(0, 0)), Duration::ZERO);
    }
}
