//! Connecting and accepting until a deadline.

use rustix::fs::{OFlags, fcntl_getfl};

use super::{Deadline, Waiting};
use crate::addr::UnixAddr;
use crate::error::AcceptError;
use crate::socket::{UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream, open};
use crate::sys::socket::{Kind, accept};
use crate::{AsFd, BorrowedFd, Errno, OwnedFd};

fn accept_until(
    fd: BorrowedFd<'_>,
    from: &mut UnixAddr,
    deadline: Deadline,
) -> Result<OwnedFd, AcceptError> {
    let mut waiting = Waiting::to_receive(fd, deadline);
    loop {
        // Each time: it is not ours alone.
        match fcntl_getfl(fd) {
            Ok(flags) if flags.contains(OFlags::NONBLOCK) => {}
            Ok(_) => return Err(AcceptError::Blocking),
            Err(errno) => return Err(AcceptError::Kernel(errno)),
        }
        match accept(fd, from) {
            Err(Errno::AGAIN) => {}
            Ok(new) => return Ok(new.0),
            Err(errno) => return Err(AcceptError::Kernel(errno)),
        }
        match waiting.once_more() {
            Ok(true) => {}
            // As where `accept` waits.
            Ok(false) => return Err(AcceptError::Kernel(Errno::INVAL)),
            Err(errno) => return Err(AcceptError::Kernel(errno)),
        }
    }
}

macro_rules! impl_connecting {
    ($Type:ident, $Listener:ident, $kind:expr) => {
        /// # Deadlines
        impl $Type {
            /// Makes a socket that is connected to `addr`, waiting while the backlog there is full, but not
            /// longer than until the deadline.
            ///
            /// The socket is an ordinary one, blocking and without a time limit. While it connects it
            /// has a time limit (`SO_SNDTIMEO`), since `poll` does not tell of a backlog; so the call
            /// can come back a tick of the kernel's clock, 1 to 10 milliseconds, after the deadline.
            ///
            /// There is no such call for a socket that exists: it could be somebody else's too, who
            /// would find a time limit on it. Its own [`connect_to`](Self::connect_to) obeys
            /// [`set_write_timeout`](Self::set_write_timeout).
            ///
            /// # Errors
            ///
            /// - `ETIMEDOUT`: the backlog was full until the deadline.
            /// - `EINTR`: a signal came while it waited, be its handler installed with `SA_RESTART`; or the process
            ///   was stopped and goes on.
            /// - As [`connect`](Self::connect). `ECONNREFUSED` comes too where the listener is closed
            ///   meanwhile; if it is shut down and kept open, not before the deadline.
            ///
            /// No socket is left behind then.
            ///
            /// # Examples
            ///
            /// ```
            /// use core::time::Duration;
            #[doc = concat!("use afunix::{Deadline, Errno, ", stringify!($Type), ", ", stringify!($Listener), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            /// listener.listen(0)?; // room for one
            /// let soon = Deadline::after(Duration::from_millis(10))?;
            #[doc = concat!("let client = ", stringify!($Type), "::connect_deadline(&name, soon)?;")]
            #[doc = concat!("let another = ", stringify!($Type), "::connect_deadline(&name, soon);")]
            /// assert_eq!(another.unwrap_err(), Errno::TIMEDOUT);
            /// # drop(client);
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html); Linux 2.6.
            #[doc(alias = "connect")]
            #[doc(alias = "connect_timeout")]
            pub fn connect_deadline(addr: &UnixAddr, deadline: Deadline) -> Result<Self, Errno> {
                open::connected_until($kind, addr, deadline).map(Self::from_fd_unchecked)
            }
        }

        /// # Deadlines
        impl $Listener {
            /// Takes the connection that waited longest, with the address of the peer, as
            /// [`accept`](Self::accept) does; waits if there is none, but not longer than until the
            /// deadline.
            ///
            /// **The listener must be non-blocking** ([`set_nonblocking`](Self::set_nonblocking)), for
            /// whoever else holds it too. `accept` has no flag that keeps it from waiting this once: if
            /// another process takes the connection that was there, a blocking one would wait for the
            /// next, deadline or not. It is looked at before each attempt; what cannot be seen is that
            /// another holder makes it blocking in between, so leave it as it is.
            ///
            /// The connection is blocking and close-on-exec, as that of `accept`.
            ///
            /// # Errors
            ///
            /// - [`AcceptError::Blocking`]: the listener is blocking; nothing was accepted.
            /// - [`AcceptError::Kernel`], with `ETIMEDOUT`: there was no connection until the deadline.
            /// - [`AcceptError::Kernel`], with what `accept` gives, at once: `EINTR`; `EMFILE` and `ENFILE`,
            ///   the connection, if there is one, staying pending (a loop that goes on has to make room
            ///   first, or it never rests); `EINVAL`, if the listener was shut down and nothing is queued,
            ///   where the kernel's answer to a non-blocking `accept` would be `EAGAIN` for ever.
            ///
            /// # Examples
            ///
            /// A daemon that does something else every half minute, whoever comes or does not:
            ///
            /// ```
            /// use core::time::Duration;
            #[doc = concat!("use afunix::{Deadline, Errno, ", stringify!($Type), ", ", stringify!($Listener), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            /// listener.set_nonblocking(true)?;
            #[doc = concat!("# let _client = ", stringify!($Type), "::connect(&name)?;")]
            /// let deadline = Deadline::after(Duration::from_secs(30))?;
            /// match listener.accept_deadline(deadline) {
            ///     Ok((connection, _from)) => drop(connection), // to be served
            ///     Err(error) if error.errno() == Errno::TIMEDOUT => {}
            ///     Err(error) if error.errno() == Errno::INTR => {}
            ///     Err(error) => return Err(error.into()),
            /// }
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// See [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html) and
            /// [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html); Linux 2.6.28.
            #[doc(alias = "accept4")]
            pub fn accept_deadline(
                &self,
                deadline: Deadline,
            ) -> Result<($Type, UnixAddr), AcceptError> {
                let mut from = UnixAddr::UNNAMED;
                let fd = accept_until(self.as_fd(), &mut from, deadline)?;
                Ok(($Type::from_fd_unchecked(fd), from))
            }
        }
    };
}

impl_connecting!(UnixStream, UnixListener, Kind::Stream);
impl_connecting!(UnixSeqpacket, UnixSeqpacketListener, Kind::Seqpacket);
