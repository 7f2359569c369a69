//! What all five types can be told, and a second descriptor of each.

use super::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
use crate::sys::fd::dup;
use crate::sys::sockopt;
use crate::{AsFd, Errno};

/// Not 0, 1 and 2, as std has it: a program may rely on these for its standard streams.
const LEAST: i32 = 3;

/// Implements duplication, and what may come with a message; a listener passes this on.
macro_rules! impl_options {
    ($Type:ident, made: $made:expr) => {
        /// # Options of any socket
        impl $Type {
            /// Makes another descriptor of this very socket, close-on-exec, and no less than 3.
            ///
            /// Both share all: the name, the queue, each option, and whether calls wait. The
            /// connection ends when the last one is closed, or for both at once by
            /// [`shutdown`](Self::shutdown).
            ///
            /// # Errors
            ///
            /// `EMFILE`: no descriptors left for the process. `EINVAL`: its limit is below 4.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// let same = socket.try_clone()?;
            /// assert_eq!(same.local_addr()?, socket.local_addr()?);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html); Linux 2.6.24.
            #[doc(alias = "F_DUPFD_CLOEXEC")]
            #[doc(alias = "dup")]
            #[inline]
            pub fn try_clone(&self) -> Result<Self, Errno> {
                dup(self.as_fd(), LEAST).map(Self::from_fd_unchecked)
            }

            /// Whether descriptors may be sent here: see
            /// [`set_passrights`](Self::set_passrights).
            ///
            /// # Errors
            ///
            /// `ENOPROTOOPT`: the kernel is older than Linux 6.16, where they always may.
            ///
            /// # Examples
            ///
            /// See `set_passrights`.
            #[doc(alias = "SO_PASSRIGHTS")]
            #[inline]
            pub fn passrights(&self) -> Result<bool, Errno> {
                sockopt::passrights(self.as_fd())
            }

            /// Chooses whether descriptors may be sent here; at first they may.
            ///
            /// While this is off a send with descriptors is `EPERM` for the sender, and nothing of it
            /// is queued. What was queued before comes with its descriptors all the same, and
            /// this side may still send some. What a listener accepts inherits it, as it was when
            /// the client connected: who turns it off before `listen` never gets any.
            ///
            /// # Errors
            ///
            /// `ENOPROTOOPT`: the kernel is older than Linux 6.16.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = $made]
            /// match socket.set_passrights(false) {
            ///     Ok(()) => assert!(!socket.passrights()?),
            ///     Err(Errno::NOPROTOOPT) => println!("descriptors may come before Linux 6.16"),
            ///     Err(error) => return Err(error),
            /// }
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SO_PASSRIGHTS`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html);
            /// Linux 6.16.
            #[doc(alias = "SO_PASSRIGHTS")]
            #[inline]
            pub fn set_passrights(&self, on: bool) -> Result<(), Errno> {
                sockopt::set_passrights(self.as_fd(), on)
            }

            /// Whether the sender's security context comes with each message: see
            /// [`set_passsec`](Self::set_passsec).
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// See `set_passsec`.
            #[doc(alias = "SO_PASSSEC")]
            #[inline]
            pub fn passsec(&self) -> Result<bool, Errno> {
                sockopt::passsec(self.as_fd())
            }

            /// Chooses whether the sender's security context comes with each message
            /// ([`Ancillary::security_context`](crate::Ancillary::security_context)).
            ///
            /// Without a security module that has such contexts (SELinux, Smack, AppArmor) none
            /// comes, and that is no error. Control buffers need room for it
            /// ([`Space::payload`](crate::Space::payload)): it stands before descriptors, so where
            /// that is too small it is they that are lost. What a listener accepts inherits it, as
            /// it was when the client connected (before Linux 6.16: when it was accepted). Unlike
            /// `SO_PASSCRED` it gives no name to a socket without one.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// socket.set_passsec(true)?;
            /// assert!(socket.passsec()?);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SO_PASSSEC`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html); Linux
            /// 2.6.18, and for streams 4.2.
            #[doc(alias = "SO_PASSSEC")]
            #[inline]
            pub fn set_passsec(&self, on: bool) -> Result<(), Errno> {
                sockopt::set_passsec(self.as_fd(), on)
            }
        }
    };
}

impl_options!(UnixStream, made: "let socket = UnixStream::unbound()?;");
impl_options!(UnixDatagram, made: "let socket = UnixDatagram::unbound()?;");
impl_options!(UnixSeqpacket, made: "let socket = UnixSeqpacket::unbound()?;");
impl_options!(UnixListener, made: "let (socket, _name) = UnixListener::autobind()?;");
impl_options!(UnixSeqpacketListener,
    made: "let (socket, _name) = UnixSeqpacketListener::autobind()?;");

/// # Options of streams
impl UnixStream {
    /// Chooses whether the number of bytes that are left comes with each receive
    /// ([`Ancillary::bytes_left`](crate::Ancillary::bytes_left)), which saves a call that asks.
    ///
    /// It is what is queued behind the bytes that were received. Control buffers need room for it
    /// ([`Space::bytes_left`](crate::Space::bytes_left)). The kernel does not tell whether it is on, and
    /// what a listener accepts does not inherit it.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT`: the kernel is older than Linux 6.17.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, Errno, IoSliceMut, RecvOptions, Space, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// match b.set_inq(true) {
    ///     Err(Errno::NOPROTOOPT) => return Ok(()), // ask `bytes_readable` instead
    ///     result => result?,
    /// }
    /// a.write(b"head and body")?;
    /// let mut control = AncillaryBuf::<{ Space::new().bytes_left().bytes() }>::new();
    /// let mut head = [0; 4];
    /// let data = &mut [IoSliceMut::new(&mut head)];
    /// let (_, ancillary) = b.recv_with(data, &mut control, RecvOptions::new())?;
    /// assert_eq!(ancillary.bytes_left(), Some(9));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// `SO_INQ`; Linux 6.17.
    #[doc(alias = "SO_INQ")]
    #[doc(alias = "SCM_INQ")]
    #[inline]
    pub fn set_inq(&self, on: bool) -> Result<(), Errno> {
        sockopt::set_inq(self.as_fd(), on)
    }
}
