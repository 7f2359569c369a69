//! How long calls may wait.

use core::time::Duration;

use super::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
use crate::sys::timeout::{Timeout, set_timeout, timeout};
use crate::{AsFd, Errno};

/// Implements both limits for what carries data; `$get` and `$put` are its words for these.
macro_rules! impl_timeouts {
    ($Type:ident, $get:literal, $put:literal, $connecting:literal) => {
        /// # Time limits
        impl $Type {
            /// How long a receive waits; `None` is for as long as it takes.
            ///
            /// It is what was set, rounded up to a tick of the kernel's clock; and `None` where that was
            /// more than it can count: on 32-bit machines 24 to 249 days.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give. `EPROTO` for an answer that is no time.
            ///
            /// # Examples
            ///
            /// See [`set_read_timeout`](Self::set_read_timeout).
            #[doc(alias = "SO_RCVTIMEO")]
            #[inline]
            pub fn read_timeout(&self) -> Result<Option<Duration>, Errno> {
                timeout(self.as_fd(), Timeout::Receive)
            }

            /// Limits how long a receive waits; `None`, as at first, is for as long as it takes.
            ///
            #[doc = concat!("It is for [`", $get, "`](Self::", $get, ") and all else that receives,")]
            /// peeks included. A call that begins to wait now has the new limit; one that
            /// waits already keeps the old. The option belongs to the open socket: duplicates, in other
            /// processes too, share it. What a listener accepts does not inherit it.
            ///
            /// The kernel counts in ticks of its clock, 1 to 10 milliseconds, and rounds up; so does
            /// this to whole microseconds. It never waits shorter, and longer than any tick tells if
            /// the machine is busy. More time than the kernel can count is no limit.
            ///
            /// **What fails by the limit is `EAGAIN`**, as on a non-blocking socket, and nothing was taken
            /// from the queue. With a limit a signal makes the call `EINTR` even where its
            /// handler was installed with `SA_RESTART`.
            ///
            /// # Errors
            ///
            /// `EINVAL`: the limit is no time at all, which the kernel would take for none; the option
            /// is as it was. For calls that must not wait there is
            /// [`set_nonblocking`](Self::set_nonblocking).
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, _b) = ", stringify!($Type), "::pair()?;")]
            /// a.set_read_timeout(Some(Duration::from_millis(20)))?;
            #[doc = concat!("assert_eq!(a.", $get, "(&mut [0; 8]), Err(Errno::AGAIN));")]
            /// assert!(a.read_timeout()?.is_some_and(|limit| limit >= Duration::from_millis(20)));
            /// assert_eq!(a.set_read_timeout(Some(Duration::ZERO)), Err(Errno::INVAL));
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// `SO_RCVTIMEO`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_RCVTIMEO")]
            #[inline]
            pub fn set_read_timeout(&self, limit: Option<Duration>) -> Result<(), Errno> {
                set_timeout(self.as_fd(), Timeout::Receive, limit)
            }

            /// How long a send waits: as [`read_timeout`](Self::read_timeout).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// See [`set_write_timeout`](Self::set_write_timeout).
            #[doc(alias = "SO_SNDTIMEO")]
            #[inline]
            pub fn write_timeout(&self) -> Result<Option<Duration>, Errno> {
                timeout(self.as_fd(), Timeout::Send)
            }

            /// Limits how long a send waits; `None`, as at first, is for as long as it takes.
            ///
            #[doc = concat!("It is for [`", $put, "`](Self::", $put, ") and all else that sends", $connecting)]
            ///
            /// All else is as with [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, _b) = ", stringify!($Type), "::pair()?;")]
            /// a.set_write_timeout(Some(Duration::from_millis(20)))?;
            /// let full = loop {
            #[doc = concat!("    if let Err(error) = a.", $put, "(&[0; 1024]) {")]
            ///         break error;
            ///     }
            /// };
            /// assert_eq!(full, Errno::AGAIN);
            /// assert!(a.write_timeout()?.is_some_and(|limit| limit >= Duration::from_millis(20)));
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// `SO_SNDTIMEO`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_SNDTIMEO")]
            #[inline]
            pub fn set_write_timeout(&self, limit: Option<Duration>) -> Result<(), Errno> {
                set_timeout(self.as_fd(), Timeout::Send, limit)
            }
        }
    };
}

impl_timeouts!(
    UnixStream,
    "read",
    "write",
    ", and for [`connect_to`](Self::connect_to), \
    which is `EAGAIN` then and not under way. A write that has sent a part by then says how much. The \
    limit is for each time that it waits for room, so a long write can take several of them."
);
impl_timeouts!(UnixDatagram, "recv", "send", ". `connect` never waits.");
impl_timeouts!(
    UnixSeqpacket,
    "recv",
    "send",
    ", and for [`connect_to`](Self::connect_to), \
    which is `EAGAIN` then and not under way."
);

/// Implements the one limit that a listener has.
macro_rules! impl_accept_timeout {
    ($Type:ident, $Connection:ident) => {
        /// # Time limits
        impl $Type {
            /// How long `accept` waits; `None` is for as long as it takes. It is what was set,
            /// rounded up to the kernel's clock.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give. `EPROTO` for an answer that is no time.
            ///
            /// # Examples
            ///
            /// See [`set_accept_timeout`](Self::set_accept_timeout).
            #[doc(alias = "SO_RCVTIMEO")]
            #[inline]
            pub fn accept_timeout(&self) -> Result<Option<Duration>, Errno> {
                timeout(self.as_fd(), Timeout::Receive)
            }

            /// Limits how long [`accept`](Self::accept) waits; `None`, as at first, is for as long as it
            /// takes. What is accepted does not inherit it.
            ///
            /// The rest is as with
            #[doc = concat!("[`", stringify!($Connection), "::set_read_timeout`](crate::", stringify!($Connection), "::set_read_timeout):")]
            /// `accept` is `EAGAIN` then, and `EINTR` by any signal.
            ///
            /// # Errors
            ///
            /// `EINVAL`: the limit is no time at all; the option is as it was.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (listener, _name) = ", stringify!($Type), "::autobind()?;")]
            /// listener.set_accept_timeout(Some(Duration::from_millis(20)))?;
            /// assert!(listener.accept_timeout()?.is_some());
            /// assert_eq!(listener.accept().err(), Some(Errno::AGAIN));
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// `SO_RCVTIMEO`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_RCVTIMEO")]
            #[inline]
            pub fn set_accept_timeout(&self, limit: Option<Duration>) -> Result<(), Errno> {
                set_timeout(self.as_fd(), Timeout::Receive, limit)
            }
        }
    };
}

impl_accept_timeout!(UnixListener, UnixStream);
impl_accept_timeout!(UnixSeqpacketListener, UnixSeqpacket);
