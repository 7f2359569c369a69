//! The traits of embedded-io 0.7 for streams.

use core::fmt;

use embedded_io_07::{Error, ErrorKind, ErrorType, Read, ReadExactError, ReadReady, Write};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::socket::UnixStream;
use crate::{AsFd, Errno};

/// What the kernel said, as an error of embedded-io's traits. With the feature `embedded-io-07`.
///
/// # Examples
///
/// ```
/// # use embedded_io_07 as embedded_io;
/// use afunix::{Errno, IoError, UnixStream};
/// use embedded_io::{Error, ErrorKind, Write};
///
/// fn greet(mut to: impl Write<Error = IoError>) -> Result<(), IoError> {
///     to.write_all(b"hello")
/// }
///
/// let (stream, _) = UnixStream::pair()?;
/// let error = greet(&stream).unwrap_err();
/// assert_eq!((error.kind(), error.errno()), (ErrorKind::BrokenPipe, Errno::PIPE));
/// # Ok::<(), Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct IoError(Errno);

impl IoError {
    /// The errno, as the kernel gave it.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{Errno, IoError};
    ///
    /// assert_eq!(IoError::from(Errno::PIPE).errno(), Errno::PIPE);
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        self.0
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for IoError {}

impl From<Errno> for IoError {
    #[inline]
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<IoError> for Errno {
    #[inline]
    fn from(error: IoError) -> Self {
        error.0
    }
}

#[cfg(feature = "std")]
impl From<IoError> for std::io::Error {
    fn from(error: IoError) -> Self {
        error.0.into()
    }
}

/// The kinds that std gives, as far as embedded-io has them; it has none for `EAGAIN`, which a
/// non-blocking stream gives: that is [`ErrorKind::Other`], and [`errno`](IoError::errno) tells.
impl Error for IoError {
    fn kind(&self) -> ErrorKind {
        match self.0 {
            Errno::NOENT => ErrorKind::NotFound,
            Errno::PERM | Errno::ACCESS => ErrorKind::PermissionDenied,
            Errno::CONNREFUSED => ErrorKind::ConnectionRefused,
            Errno::CONNRESET => ErrorKind::ConnectionReset,
            Errno::CONNABORTED => ErrorKind::ConnectionAborted,
            Errno::NOTCONN => ErrorKind::NotConnected,
            Errno::ADDRINUSE => ErrorKind::AddrInUse,
            Errno::ADDRNOTAVAIL => ErrorKind::AddrNotAvailable,
            Errno::PIPE => ErrorKind::BrokenPipe,
            Errno::EXIST => ErrorKind::AlreadyExists,
            Errno::INVAL => ErrorKind::InvalidInput,
            Errno::TIMEDOUT => ErrorKind::TimedOut,
            Errno::INTR => ErrorKind::Interrupted,
            Errno::NOSYS | Errno::OPNOTSUPP => ErrorKind::Unsupported,
            Errno::NOMEM => ErrorKind::OutOfMemory,
            _ => ErrorKind::Other,
        }
    }
}

/// Whether a read would not have to wait: there are bytes, or the end, or an error.
fn readable(stream: &UnixStream) -> Result<bool, IoError> {
    let mut asked = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut asked, Some(&at_once))? > 0)
}

/// Implements the traits for a stream or a reference to one: either is as good.
macro_rules! impl_stream {
    ($($Stream:ty),+) => {$(
        /// With the feature `embedded-io-07`.
        impl ErrorType for $Stream {
            type Error = IoError;
        }

        /// [`UnixStream::read`]: 0 is the end, unless the buffer is empty. With the feature
        /// `embedded-io-07`.
        ///
        /// `read_exact` calls it until the buffer is full, and gives up at the first error, `EINTR`
        /// too, without telling how far it came: where signals are caught, call `read`.
        ///
        /// # Errors
        ///
        /// As `UnixStream::read`.
        ///
        /// # Examples
        ///
        /// ```
        /// # use embedded_io_07 as embedded_io;
        /// use afunix::{IoError, UnixStream};
        /// use embedded_io::{Read, Write};
        ///
        /// /// A message with its length in front.
        /// fn message<'a>(mut from: impl Read<Error = IoError>, buf: &'a mut [u8; 255]) -> &'a [u8] {
        ///     let mut len = [0];
        ///     from.read_exact(&mut len).expect("a byte");
        ///     let message = &mut buf[..usize::from(len[0])];
        ///     from.read_exact(message).expect("as many as it says");
        ///     message
        /// }
        ///
        /// let (mut a, b) = UnixStream::pair()?;
        /// a.write_all(b"\x05hello")?;
        /// assert_eq!(message(&b, &mut [0; 255]), b"hello");
        /// # Ok::<(), afunix::Errno>(())
        /// ```
        impl Read for $Stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
                Ok(UnixStream::read(self, buf)?)
            }

            // The trait's own can panic.
            fn read_exact(&mut self, mut buf: &mut [u8]) -> Result<(), ReadExactError<IoError>> {
                while !buf.is_empty() {
                    let count = UnixStream::read(self, buf).map_err(IoError)?;
                    buf = match buf.split_at_mut_checked(count) {
                        Some((_, rest)) if count > 0 => rest,
                        _ => return Err(ReadExactError::UnexpectedEof),
                    };
                }
                Ok(())
            }
        }

        /// [`UnixStream::write`], which raises no `SIGPIPE`, and gives 0 for nothing but an empty
        /// buffer; `flush` does nothing, since nothing is held back. With the feature
        /// `embedded-io-07`.
        ///
        /// `write_all` calls it until all is written, and gives up at the first error, `EINTR` too,
        /// without telling how far it came: where signals are caught, call `write`.
        ///
        /// There is no `WriteReady`: a blocking write of much data waits even where there is room for
        /// some.
        ///
        /// # Errors
        ///
        /// As `UnixStream::write`.
        ///
        /// # Examples
        ///
        /// ```
        /// # use embedded_io_07 as embedded_io;
        /// use afunix::UnixStream;
        /// use embedded_io::Write;
        ///
        /// let (mut a, b) = UnixStream::pair()?;
        /// write!(a, "{} lines follow", 3).expect("a peer that reads");
        /// let mut buf = [0; 64];
        /// let count = b.read(&mut buf)?;
        /// assert_eq!(&buf[..count], b"3 lines follow");
        /// # Ok::<(), afunix::Errno>(())
        /// ```
        impl Write for $Stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
                Ok(UnixStream::write(self, buf)?)
            }

            #[inline]
            fn flush(&mut self) -> Result<(), IoError> {
                Ok(())
            }

            // The trait's own can panic.
            fn write_all(&mut self, mut buf: &[u8]) -> Result<(), IoError> {
                while !buf.is_empty() {
                    let count = UnixStream::write(self, buf)?;
                    buf = match buf.get(count..) {
                        Some(rest) if count > 0 => rest,
                        // The kernel writes a byte at least, and no more than it was given.
                        _ => return Err(IoError(Errno::IO)),
                    };
                }
                Ok(())
            }
        }

        /// Whether a read would not wait, because there are bytes, or the end, or an error. With the
        /// feature `embedded-io-07`.
        ///
        /// It holds until someone else reads, and for streams whose `SO_RCVLOWAT` nobody raised.
        ///
        /// # Errors
        ///
        /// `EINTR`: a signal came.
        ///
        /// # Examples
        ///
        /// ```
        /// # use embedded_io_07 as embedded_io;
        /// use afunix::UnixStream;
        /// use embedded_io::ReadReady;
        ///
        /// let (a, mut b) = UnixStream::pair()?;
        /// assert!(!b.read_ready()?);
        /// a.write(b"x")?;
        /// assert!(b.read_ready()?);
        /// # Ok::<(), afunix::Errno>(())
        /// ```
        ///
        /// See [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
        impl ReadReady for $Stream {
            fn read_ready(&mut self) -> Result<bool, IoError> {
                readable(self)
            }
        }
    )+};
}

impl_stream!(UnixStream, &UnixStream);
