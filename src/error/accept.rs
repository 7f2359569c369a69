//! What can go wrong with an `accept` that has a deadline.

use core::fmt;

use rustix::io::Errno;

/// No connection was accepted before the deadline, or none can be waited for.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use afunix::{AcceptError, Deadline, Errno, UnixListener};
///
/// let (listener, _name) = UnixListener::autobind()?;
/// let deadline = Deadline::after(Duration::from_millis(10))?;
/// let error = listener.accept_deadline(deadline).unwrap_err();
/// assert_eq!((error, error.errno()), (AcceptError::Blocking, Errno::INVAL));
/// assert_eq!(error.to_string(), "listener is blocking, a deadline needs O_NONBLOCK");
///
/// listener.set_nonblocking(true)?;
/// let error = listener.accept_deadline(deadline).unwrap_err();
/// assert_eq!(error, AcceptError::Kernel(Errno::TIMEDOUT));
/// # Ok::<(), Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AcceptError {
    /// The listener is blocking (`O_NONBLOCK` is not set), so that an `accept` could wait for ever: where
    /// another process, or thread, takes the connection that was there to be had.
    Blocking,
    /// The kernel's answer; or `ETIMEDOUT`, which is the deadline's.
    Kernel(Errno),
}

impl AcceptError {
    /// The errno that says the same: the kernel's own, or `EINVAL` for a blocking listener.
    ///
    /// # Examples
    ///
    /// See [`AcceptError`].
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Blocking => Errno::INVAL,
            Self::Kernel(errno) => errno,
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Blocking => f.write_str("listener is blocking, a deadline needs O_NONBLOCK"),
            Self::Kernel(errno) => write!(f, "cannot accept: {errno}"),
        }
    }
}

impl core::error::Error for AcceptError {}
