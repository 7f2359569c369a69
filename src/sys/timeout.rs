//! How long a call may wait: the options whose value is a time.

use core::time::Duration;

use linux_raw_sys::{general, net};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::sockopt::{Plain, get, set};

/// Which calls it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timeout {
    /// Receives, and `accept`.
    Receive,
    /// Sends, and `connect`.
    Send,
}

/// The layout that every kernel knows.
#[cfg(not(target_arch = "sparc64"))]
use general::__kernel_old_timeval as Timeval;
#[cfg(not(target_arch = "sparc64"))]
use net::{SO_RCVTIMEO_OLD as RECEIVE, SO_SNDTIMEO_OLD as SEND};
// On sparc64 it has padding; the one of Linux 5.1 has none.
#[cfg(target_arch = "sparc64")]
use general::__kernel_sock_timeval as Timeval;
#[cfg(target_arch = "sparc64")]
use net::{SO_RCVTIMEO_NEW as RECEIVE, SO_SNDTIMEO_NEW as SEND};

impl Timeout {
    #[inline]
    const fn option(self) -> u32 {
        match self {
            Self::Receive => RECEIVE,
            Self::Send => SEND,
        }
    }

    /// The option with 64 bits for the seconds; on 64-bit machines each has them.
    #[cfg(not(target_pointer_width = "64"))]
    #[inline]
    const fn wide_option(self) -> u32 {
        match self {
            Self::Receive => net::SO_RCVTIMEO_NEW,
            Self::Send => net::SO_SNDTIMEO_NEW,
        }
    }
}

/// How long such calls wait; `None` for as long as it takes.
#[inline]
pub(crate) fn timeout(fd: BorrowedFd<'_>, which: Timeout) -> Result<Option<Duration>, Errno> {
    #[cfg(not(target_pointer_width = "64"))]
    {
        match get(fd, which.wide_option(), general::__kernel_sock_timeval { tv_sec: 0, tv_usec: 0 })
        {
            // Before Linux 5.1; and qemu-user, which does not know it, answers with an `int`.
            Err(Errno::NOPROTOOPT | Errno::PROTO) => {}
            Err(error) => return Err(error),
            Ok(time) => return duration(time.tv_sec, time.tv_usec),
        }
    }
    usual_timeout(fd, which)
}

/// [`timeout`] by the option that every kernel knows.
#[inline]
pub(super) fn usual_timeout(fd: BorrowedFd<'_>, which: Timeout) -> Result<Option<Duration>, Errno> {
    let time = get(fd, which.option(), Timeval { tv_sec: 0, tv_usec: 0 })?;
    #[allow(clippy::useless_conversion)] // Their width is the machine's.
    duration(time.tv_sec.into(), time.tv_usec.into())
}

/// Sets how long such calls wait. No time at all is `EINVAL`: to the kernel it would be no limit.
#[inline]
pub(crate) fn set_timeout(
    fd: BorrowedFd<'_>,
    which: Timeout,
    limit: Option<Duration>,
) -> Result<(), Errno> {
    let (seconds, microseconds) = match limit {
        Some(Duration::ZERO) => return Err(Errno::INVAL),
        Some(limit) => parts(limit),
        None => (0, 0),
    };
    #[cfg(not(target_pointer_width = "64"))]
    {
        let time = general::__kernel_sock_timeval { tv_sec: seconds, tv_usec: microseconds.into() };
        match set(fd, which.wide_option(), time) {
            // Before Linux 5.1.
            Err(Errno::NOPROTOOPT) => {}
            result => return result,
        }
    }
    set_usual_timeout(fd, which, seconds, microseconds)
}

/// Sets the option that every kernel knows; more seconds than it has room for are the most it has.
#[inline]
pub(super) fn set_usual_timeout(
    fd: BorrowedFd<'_>,
    which: Timeout,
    seconds: i64,
    microseconds: i32,
) -> Result<(), Errno> {
    const MOST: general::__kernel_long_t = general::__kernel_long_t::MAX;
    #[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)]
    // Their width is the machine's.
    let time = match seconds.try_into() {
        Ok(seconds) if seconds < MOST => Timeval { tv_sec: seconds, tv_usec: microseconds.into() },
        // Without microseconds: rounded up to a tick it would be one second more than can be told.
        _ => Timeval { tv_sec: MOST, tv_usec: 0 },
    };
    set(fd, which.option(), time)
}

/// Whole seconds and microseconds of a time, rounded up: to wait too short would be another meaning,
/// and none at all for ever. What is more seconds than there is a number for is the largest number.
#[inline]
pub(super) fn parts(time: Duration) -> (i64, i32) {
    const MILLION: i32 = 1_000_000;
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    // At most a million.
    let microseconds = i32::try_from(time.subsec_nanos().div_ceil(1000)).unwrap_or(MILLION);
    // The kernel takes no million of them: `EDOM`.
    if microseconds < MILLION { (seconds, microseconds) } else { (seconds.saturating_add(1), 0) }
}

/// What the kernel says; 0 is no limit, and what is no time is `EPROTO`.
#[inline]
pub(super) fn duration(seconds: i64, microseconds: i64) -> Result<Option<Duration>, Errno> {
    let (Ok(seconds), Ok(microseconds)) = (u64::try_from(seconds), u32::try_from(microseconds))
    else {
        return Err(Errno::PROTO);
    };
    match (seconds, microseconds) {
        (0, 0) => Ok(None),
        // `Duration::new` can panic only where there is a whole second of nanoseconds.
        (_, 0..1_000_000) => Ok(Some(Duration::new(seconds, microseconds.wrapping_mul(1000)))),
        _ => Err(Errno::PROTO),
    }
}

// SAFETY: two numbers of 64 bits.
#[cfg(not(target_pointer_width = "64"))]
unsafe impl Plain for general::__kernel_sock_timeval {}

// SAFETY: two numbers of one width.
unsafe impl Plain for Timeval {}
