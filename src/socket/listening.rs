//! Listeners, which do nothing but wait for connections.

use super::open;
use super::seqpacket::UnixSeqpacket;
use super::shared::impl_socket;
use super::stream::UnixStream;
use crate::addr::UnixAddr;
use crate::error::AdoptError;
use crate::sys::fd::borrow;
use crate::sys::socket::{Kind, accept, getsockname};
use crate::sys::sockopt;
use crate::{AsFd, AsRawFd, BorrowedFd, Errno, IntoRawFd, OwnedFd, RawFd, Shutdown};

/// Implements listening; `$Type` is what `accept` gives.
macro_rules! impl_listening {
    ($Listener:ident, $Type:ident, $kind:expr) => {
        /// # Listening
        impl $Listener {
            /// Makes a socket with a name and listens for as many pending connections as
            /// `net.core.somaxconn` allows.
            ///
            /// A path makes a file, whose mode is 0777 less the umask and which stays when the socket is
            /// closed; for another mode, and for the whole life of the file, see
            /// [`SocketFile`](crate::SocketFile).
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($Type), "::bind_to`], and `EMFILE`, `ENFILE`, `ENOMEM`. Nothing is left behind.")]
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Listener), "};")]
            ///
            /// # let name = format!("afunix-doc-{}-lbind", std::process::id());
            /// let addr = UnixAddr::from_abstract_name(name.as_bytes())?;
            #[doc = concat!("let listener = ", stringify!($Listener), "::bind(&addr)?;")]
            /// assert_eq!(listener.local_addr()?, addr);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [listen(2)](https://man7.org/linux/man-pages/man2/listen.2.html).
            #[inline]
            pub fn bind(addr: &UnixAddr) -> Result<Self, Errno> {
                Self::bind_with_backlog(addr, open::BACKLOG_MAX)
            }

            /// Makes a socket with a name and listens for `backlog + 1` pending connections, but
            /// no more than `net.core.somaxconn` allows; a negative number asks for all of these.
            ///
            /// # Errors
            ///
            /// As [`bind`](Self::bind).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Listener), "};")]
            ///
            /// # let name = format!("afunix-doc-{}-backlog", std::process::id());
            /// let addr = UnixAddr::from_abstract_name(name.as_bytes())?;
            #[doc = concat!("let listener = ", stringify!($Listener), "::bind_with_backlog(&addr, 4)?;")]
            /// # let _ = listener;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn bind_with_backlog(addr: &UnixAddr, backlog: i32) -> Result<Self, Errno> {
                open::listening($kind, addr, backlog).map(|fd| Self { fd })
            }

            /// Listens at an abstract name that the kernel picks, and tells the name: five
            /// hexadecimal digits.
            ///
            /// # Errors
            ///
            /// `ENOSPC` if all 2²⁰ of them are taken; `EMFILE`, `ENFILE`, `ENOMEM`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Listener), ", ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            #[doc = concat!("let client = ", stringify!($Type), "::connect(&name)?;")]
            /// # let _ = (listener, client);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn autobind() -> Result<(Self, UnixAddr), Errno> {
                open::autobound_listening($kind).map(|(fd, name)| (Self { fd }, name))
            }

            /// Changes how many connections may be pending: `backlog + 1`. Those that are stay.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give for a listener.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Listener), ";")]
            ///
            #[doc = concat!("let (listener, _name) = ", stringify!($Listener), "::autobind()?;")]
            /// listener.listen(0)?;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
                rustix::net::listen(borrow(&self.fd), backlog)
            }

            /// Takes the connection that waited longest, with the address of the peer: unnamed for
            /// one that was never bound, as most are. Waits if there is none.
            ///
            /// The connection is blocking, whatever the listener is, and close-on-exec. It may
            /// have been closed by the peer already; what it sent can be read all the same.
            ///
            /// Of the listener's options it has [`passcred`](Self::passcred),
            /// [`passpidfd`](Self::passpidfd), [`passsec`](Self::passsec) and
            /// [`passrights`](Self::passrights) as they were when the peer connected (before Linux 6.16
            /// as they are now), and no other: no time limit, no size of a buffer. The peer has none of
            /// them.
            ///
            /// # Errors
            ///
            /// - `EAGAIN`: the listener is non-blocking and no connection is pending.
            /// - `EINTR`: a signal came first.
            /// - `EMFILE`, `ENFILE`: no descriptors left; the connection stays pending.
            /// - `EINVAL`: the listener was shut down.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Listener), ", ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            #[doc = concat!("let _client = ", stringify!($Type), "::connect(&name)?;")]
            /// let (connection, from) = listener.accept()?;
            /// assert!(from.is_unnamed());
            /// # let _ = connection;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `accept4`, see [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
            #[doc(alias = "accept4")]
            #[inline]
            pub fn accept(&self) -> Result<($Type, UnixAddr), Errno> {
                let mut from = UnixAddr::UNNAMED;
                let connection = self.accept_into(&mut from)?;
                Ok((connection, from))
            }

            /// Takes the connection that waited longest and writes the address of the peer into
            /// `from`: [`accept`](Self::accept) without a copy.
            ///
            /// # Errors
            ///
            /// As `accept`; `from` is as it was then (but see
            /// [`from_fd_unchecked`](Self::from_fd_unchecked)).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Listener), ", ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            #[doc = concat!("let _client = ", stringify!($Type), "::connect(&name)?;")]
            /// let mut from = name;
            /// let _connection = listener.accept_into(&mut from)?;
            /// assert!(from.is_unnamed());
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline(always)]
            pub fn accept_into(&self, from: &mut UnixAddr) -> Result<$Type, Errno> {
                accept(borrow(&self.fd), from).map(|new| $Type::from_fd_unchecked(new.0))
            }
        }
    };
}

/// Waits for streams: the server's end of [`UnixStream::connect`].
///
/// It closes on drop. A path's file stays behind then; removing it is up to you, and whoever binds
/// the path next needs it gone. A server at a path is better made by
/// [`SocketFile`](crate::SocketFile), which sees to that.
///
/// # Examples
///
/// ```
/// use afunix::{UnixAddr, UnixListener, UnixStream};
///
/// # let name = format!("afunix-doc-{}-listener", std::process::id());
/// let addr = UnixAddr::from_abstract_name(name.as_bytes())?;
/// let listener = UnixListener::bind(&addr)?;
/// let client = UnixStream::connect(&addr)?;
/// let (server, from) = listener.accept()?;
/// assert!(from.is_unnamed());
/// # let _ = (client, server);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct UnixListener {
    fd: OwnedFd,
}

impl_listening!(UnixListener, UnixStream, Kind::Stream);
impl_socket!(UnixListener, Kind::Stream, listens: true,
    made: "let (socket, _name) = UnixListener::autobind()?;");

/// Waits for connections that carry messages: the server's end of [`UnixSeqpacket::connect`].
///
/// It closes on drop. A path's file stays behind then; removing it is up to you, and whoever binds
/// the path next needs it gone. A server at a path is better made by
/// [`SocketFile`](crate::SocketFile), which sees to that.
///
/// # Examples
///
/// ```
/// use afunix::{UnixSeqpacket, UnixSeqpacketListener};
///
/// let (listener, name) = UnixSeqpacketListener::autobind()?;
/// let client = UnixSeqpacket::connect(&name)?;
/// let (server, _from) = listener.accept()?;
/// client.send(b"message")?;
/// assert_eq!(server.recv(&mut [0; 16])?.bytes, 7);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[derive(Debug)]
pub struct UnixSeqpacketListener {
    fd: OwnedFd,
}

impl_listening!(UnixSeqpacketListener, UnixSeqpacket, Kind::Seqpacket);
impl_socket!(UnixSeqpacketListener, Kind::Seqpacket, listens: true,
    made: "let (socket, _name) = UnixSeqpacketListener::autobind()?;");
